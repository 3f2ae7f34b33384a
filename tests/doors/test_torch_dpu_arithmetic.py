"""The DPU's constants from a torch module to the software DPU: one set of integers everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import onnxruntime as ort  # noqa: E402
from torch import nn  # noqa: E402

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from quantforge.compiler.arithmetic import differs  # noqa: E402
from quantforge.compiler.compile import compilation  # noqa: E402
from quantforge.debugging.xmodel_stage import XmodelStage  # noqa: E402
from quantforge.graph import Array, Graph  # noqa: E402
from quantforge.ops.interpreter import Interpreter  # noqa: E402
from quantforge.targets.dpu import load_dpu  # noqa: E402
from quantforge.xmodel.read import read_xmodel  # noqa: E402

CPU, SHAPE = torch.device("cpu"), (3, 15, 15)
DPU_KINDS = {"pool-fix": 5, "hard-sigmoid-fix": 2}


class Net(nn.Module):
    """Average pools of three sizes, a mean, a leaky relu of 0.1, a hard swish and a hard sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.gate, self.head = nn.Conv2d(8, 8, 1), nn.Linear(8, 5)
        self.leaky, self.swish, self.sigmoid = nn.LeakyReLU(0.1), nn.Hardswish(), nn.Hardsigmoid()
        self.pools = nn.ModuleList([nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2), nn.AvgPool2d((2, 3), 1)])

    def forward(self, x: Any) -> Any:
        x = self.pools[0](self.leaky(self.first(x)))
        x = self.pools[1](self.swish(self.second(x)))
        x = self.pools[2](self.sigmoid(self.gate(x)))
        return self.head(nn.functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1)) + self.head(x.mean([2, 3]))


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Graph, Array, Array, Path]:
    """The quantizer in test mode, its graph, inputs, answers, and where the files are."""
    folder, net = tmp_path_factory.mktemp("dpu"), Net().eval()
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(32, *SHAPE)).astype(np.float32))
    with torch.no_grad():
        quantizer = torch_quantizer("calib", net, x[:1], output_dir=folder, device=CPU)
        quantizer.quant_model(x)
        quantizer.export_quant_config()
        quantizer = torch_quantizer("test", net, x[:1], output_dir=folder, device=CPU)
        answers = quantizer.quant_model(x).numpy()
    graph = quantizer._graph()
    return quantizer, graph, x.numpy(), answers, folder


def test_the_graph_carries_the_factors(tested: tuple[Any, ...]) -> None:
    graph: Graph = tested[1]
    factors = [op.attrs["dpu_factor"] for op in graph.ops if "dpu_factor" in op.attrs]
    assert factors == [(7, 6), (1, 2), (85, 9), (85, 9), (85, 9)]  # 3x3, 2x2, 2x3 and twice the 3x2 left
    assert [op.attrs["alpha"] for op in graph.ops if "alpha" in op.attrs] == [
        26 / 256, 2731 / 16384, 2731 / 16384,
    ]  # fmt: skip
    gate = next(value for value in graph.values if value.name == "swish_gate")
    assert gate.quant is not None and gate.quant.position == 7


def test_torch_the_definition_and_onnx_runtime_agree(tested: tuple[Any, ...]) -> None:
    quantizer, graph, x, answers, folder = tested
    (output,), (name,) = graph.outputs, graph.inputs
    np.testing.assert_array_equal(Interpreter().session(graph, [output]).run({name: x})[output], answers)
    quantizer.export_onnx_model(folder, dynamic_batch=True)
    session = ort.InferenceSession(str(folder / "Net_int.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {name: x})[0], answers)


@pytest.mark.parametrize("engine", ["run", "ref"])
def test_so_does_the_software_dpu_and_that_is_the_hardwares_arithmetic(
    tested: tuple[Any, ...], engine: str
) -> None:
    quantizer, _, x, answers, folder = tested
    quantizer.export_xmodel(folder)
    flat = read_xmodel(folder / "Net_int.xmodel")
    assert not differs(flat)
    model = compilation(flat, load_dpu("KV260")).model
    kinds = [op.kind for op in model.ops.values()]
    assert {kind: kinds.count(kind) for kind in DPU_KINDS} == DPU_KINDS
    stage = XmodelStage(model, engine, engine)
    (info,), (output,) = stage.inputs, tuple(model.attrs["return_ops"].value)
    for image, answer in zip(x[:4], answers, strict=False):
        found = stage.observer.run(stage.arguments.feeds({info.name: image[None]}))[output]
        np.testing.assert_array_equal(found.reshape(answer.shape), answer)

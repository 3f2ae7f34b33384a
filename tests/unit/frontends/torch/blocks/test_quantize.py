from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.blocks.place import BlockRecipe  # noqa: E402
from quantforge.frontends.torch.blocks.quantize import quantize_blocks  # noqa: E402
from quantforge.frontends.torch.module import QuantizedModule  # noqa: E402
from quantforge.frontends.torch.onnx_export import to_onnx  # noqa: E402
from quantforge.numerics.block_float import parse_block_format  # noqa: E402
from quantforge.ops.interpreter import Interpreter  # noqa: E402
from tests.unit.frontends.torch.modules import Residual, Transformer  # noqa: E402

MX9 = BlockRecipe(parse_block_format("mx9"))


class Spoken(nn.Module):
    """The functions with a table, and a normalization that nothing can take in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        self.conv = nn.Conv2d(4, 20, 3, padding=1)
        self.head = nn.Linear(20, 6)

    def forward(self, x: Any) -> Any:
        y = torch.sigmoid(self.conv(torch.relu(self.norm(x))))
        y = nn.functional.adaptive_avg_pool2d(torch.tanh(y), 1).flatten(1)
        return torch.softmax(nn.functional.gelu(self.head(y)), -1)


@pytest.mark.parametrize("name", ["mx9", "mx4", "bfp13", "mxint8", "mxfp4_e2m1"])
def test_torch_and_onnx_runtime_agree(name: str) -> None:
    torch.manual_seed(0)
    module = Residual().train()
    state = copy.deepcopy(module.state_dict())
    x = torch.randn(5, 3, 6, 6)
    graph = quantize_blocks(module, x, None, BlockRecipe(parse_block_format(name)))
    assert module.training and all(
        torch.equal(state[key], value) for key, value in module.state_dict().items()
    )
    with torch.no_grad():
        found = QuantizedModule(graph, module.forward)(x).numpy()
        exact = module.eval()(x).numpy()
    noise = np.square(exact - found).sum() / np.square(exact).sum()
    assert 0 < noise < {"mx9": 1e-4, "mx4": 0.1, "bfp13": 0.005, "mxint8": 1e-3, "mxfp4_e2m1": 0.1}[name]
    session = ort.InferenceSession(to_onnx(graph).SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x.numpy()})[0], found, atol=0.02 * np.abs(found).max())
    slow = Interpreter().session(graph, graph.outputs).run({"x": x.numpy()})[graph.outputs[0]]
    np.testing.assert_allclose(slow, found, atol=0.02 * np.abs(found).max())


def test_a_normalization_that_cannot_be_folded_stays_in_float() -> None:
    module = Spoken().eval()
    graph = quantize_blocks(module, torch.zeros(2, 4, 6, 6), None, MX9)
    formats = {op.outputs[0]: op.attrs["format"] for op in graph.ops if op.kind == "fake-quantize"}
    assert sorted(formats.values()) == ["bfloat16"] * 5 + ["mx9"] * 2
    assert graph.op("norm").inputs[0] == "x"


@pytest.mark.parametrize("training", [False, True])
def test_transformers_work_in_any_mode(training: bool) -> None:
    module = Transformer().train(training)
    tokens = torch.randint(0, 10, (3, 7))
    graph = quantize_blocks(module, tokens, None, MX9)
    formats = [op.attrs["format"] for op in graph.ops if op.kind == "fake-quantize"]
    assert formats.count("bfloat16") == 3 and formats.count("mx9") >= 4
    with torch.no_grad():
        exact, found = module.eval()(tokens), QuantizedModule(graph, module.forward)(tokens)
    assert float((exact - found).square().sum() / exact.square().sum()) < 1e-3


def test_gradients_reach_the_inputs() -> None:
    torch.manual_seed(0)
    module = Residual().eval()
    quantized = QuantizedModule(quantize_blocks(module, torch.zeros(2, 3, 6, 6), None, MX9), module.forward)
    x = torch.randn(2, 3, 6, 6, requires_grad=True)
    quantized(x).sum().backward()
    near = x.detach().clone().requires_grad_()
    module(near).sum().backward()
    likeness = torch.cosine_similarity(x.grad.flatten(), near.grad.flatten(), dim=0)
    assert float(likeness) > 0.98


def test_a_module_without_products_is_refused() -> None:
    with pytest.raises(InputError, match="Q0507 module 'ReLU'"):
        quantize_blocks(nn.ReLU(), torch.zeros(2, 3), None, MX9)

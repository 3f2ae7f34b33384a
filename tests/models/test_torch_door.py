"""ResNet-20 through the torch door: the same plan as the ONNX door, exports that agree on every image looked at."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from quantforge.calibration.data import open_data  # noqa: E402
from quantforge.frontends import onnx as onnx_door  # noqa: E402
from quantforge.frontends import torch as torch_door  # noqa: E402
from quantforge.frontends.onnx.run import OnnxExecutor  # noqa: E402
from quantforge.graph import Array, Graph  # noqa: E402
from quantforge.quantization.flow import quantize_graph  # noqa: E402
from quantforge.quantization.recipe import named_recipe  # noqa: E402
from tests.unit.frontends.onnx.text_models import DATA  # noqa: E402

CALIBRATION, TEST, BATCH = 64, 400, 50
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
# Of the quantized model; float has 90 percent here. Without the drift of halves rounded up in its biases: 24 dB.
TOP1, AGREEMENT, SQNR = (88, 92), (97, 100), (25.3, 27.5)
CPU = torch.device("cpu")

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there"),
]


def images(part: str, count: int) -> tuple[Array, Array]:
    with np.load(DATA.parent / "cifar10" / f"{part}.npz") as archive:
        jpeg, offset, labels = archive["jpeg"], archive["offset"], archive["label"][:count]
    files = (io.BytesIO(jpeg[offset[i] : offset[i + 1]].tobytes()) for i in range(count))
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB"), np.float32) for file in files])
    return np.ascontiguousarray(((pixels / 255 - MEAN) / STD).transpose(0, 3, 1, 2), np.float32), labels


@pytest.fixture(scope="module")
def model() -> Any:
    spec = importlib.util.spec_from_file_location("resnet20_cifar10", DATA / "resnet20_cifar10.py")
    assert spec is not None and spec.loader is not None
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    return code.load(DATA / "resnet20_cifar10.pth")


def steps(graph: Graph) -> list[tuple[Any, ...]]:
    """Kind and positions of what goes in and out, operator by operator; both ways to flatten are one."""
    rows = []
    for op in graph.ops:
        kind = "flatten" if op.kind == "reshape" else op.kind
        values = [graph.value(name).quant for name in (*op.inputs, *op.outputs) if name]
        rows.append((kind, *(None if spec is None else spec.position for spec in values)))
    return rows


def test_both_doors_make_the_same_plan(model: Any) -> None:
    x, _ = images("train", CALIBRATION)
    found = []
    for door, executor, source in (
        (torch_door, torch_door.TorchExecutor(), torch_door.import_module(model, torch.zeros(1, 3, 32, 32))),
        (onnx_door, OnnxExecutor(), onnx_door.import_model(DATA / "resnet20_cifar10.onnx")),
    ):
        batches = [{source.inputs[0]: x[i : i + 32]} for i in range(0, CALIBRATION, 32)]
        data = open_data(batches, door.input_infos(source))
        found.append(steps(quantize_graph(source, executor, data, named_recipe("dpu-cnn")).graph))
    assert found[0] == found[1]


def answers(run: Any, x: Array) -> Array:
    return np.concatenate([np.asarray(run(x[i : i + BATCH])) for i in range(0, len(x), BATCH)])


def test_the_quantizer_and_its_exports(model: Any, tmp_path: Path) -> None:
    x, labels = images("test", TEST)
    batches = torch.from_numpy(images("train", CALIBRATION)[0]).split(32)
    example = torch.zeros(1, 3, 32, 32)
    with torch.no_grad():
        quantizer = torch_quantizer("calib", model, example, output_dir=tmp_path, device=CPU)
        for batch in batches:
            quantizer.quant_model(batch)
        quantizer.export_quant_config()
        tested = torch_quantizer("test", model, example, output_dir=tmp_path, device=CPU)
        exact = answers(lambda rows: model(torch.from_numpy(rows)), x)
        found = answers(lambda rows: tested.quant_model(torch.from_numpy(rows)), x)
    sqnr = 10 * np.log10(np.square(exact).sum() / np.square(exact - found).sum())
    top1 = 100 * (found.argmax(1) == labels).mean()
    agreement = 100 * (found.argmax(1) == exact.argmax(1)).mean()
    assert TOP1[0] <= top1 <= TOP1[1], top1
    assert AGREEMENT[0] <= agreement <= AGREEMENT[1], agreement
    assert SQNR[0] <= sqnr <= SQNR[1], sqnr
    tested.export_onnx_model(tmp_path, dynamic_batch=True)
    session = ort.InferenceSession(str(tmp_path / "ResNet20_int.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(answers(lambda rows: session.run(None, {"x": rows})[0], x), found)
    tested.export_xmodel(tmp_path)
    assert (tmp_path / "ResNet20_int.xmodel").stat().st_size > 100_000

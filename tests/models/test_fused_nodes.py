"""ONNX Runtime makes as many integer operators of our models as of those of its own quantizer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from quantforge import quantize
from quantforge.graph import Array
from tests.unit.frontends.onnx.text_models import DATA, random

pytestmark = pytest.mark.models
MODELS = (
    "resnet20_cifar10",
    "mobilenetv2_cifar10",
)  # of detectors we keep the last concat in float on purpose


class Reader(CalibrationDataReader):
    """A few random images."""

    def __init__(self, name: str, batches: list[Array]) -> None:
        self.left = [{name: batch} for batch in batches]

    def get_next(self) -> dict[str, Array] | None:
        return self.left.pop() if self.left else None


def operators(path: Path) -> Counter[str]:
    """How often each operator type is in the model as ONNX Runtime runs it."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(path.with_suffix(".optimized.onnx"))
    options.log_severity_level = 4
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(options.optimized_model_filepath).graph.node
    return Counter(node.op_type for node in nodes)


def integer_operators(found: Counter[str]) -> int:
    return sum(count for kind, count in found.items() if kind.startswith("QLinear") or kind == "QGemm")


@pytest.mark.parametrize("name", MODELS)
def test_as_many_integer_operators_as_of_onnx_runtimes_own_tool(name: str, tmp_path: Path) -> None:
    source = DATA / f"{name}.onnx"
    if not source.exists():
        pytest.skip(f"no {source}")
    value: Any = onnx.load(source, load_external_data=False).graph.input[0]
    shape = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
    images = [random(*shape, seed=seed) for seed in range(2)]
    ours, theirs, ready = tmp_path / "ours.onnx", tmp_path / "theirs.onnx", tmp_path / "ready.onnx"
    quantize(source, [{value.name: image} for image in images], recipe="cpu-cnn", output=ours)
    quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(str(ready), str(theirs), Reader(value.name, images), per_channel=False, **types)
    mine, other = operators(ours), operators(theirs)
    assert integer_operators(mine) >= integer_operators(other) > 0, (mine, other)
    assert mine["QLinearConv"] >= other["QLinearConv"] and mine["QLinearAdd"] >= other["QLinearAdd"]
    borders = ("QuantizeLinear", "DequantizeLinear")
    assert sum(mine[kind] for kind in borders) <= sum(other[kind] for kind in borders), (mine, other)
    assert np.all([mine[kind] == 0 for kind in ("Conv", "FusedConv")]), "every convolution is one of integers"

"""float16 models and channels last, through `quantize_static`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

import vai_q_onnx
from quantforge.diagnostics import InputError
from quantforge.graph import Array
from tests.unit.frontends.onnx.text_models import model, random, run
from vai_q_onnx.model_changes import changed_model

NET = """agraph (TYPE[n,3,8,8] x) => (TYPE[n,4,8,8] y) {
    h = Conv <kernel_shape = [1, 1]> (x, w)
    y = Relu (h)
}"""
WEIGHTS = random(4, 3, 1, 1)


class Reader:
    def __init__(self, kind: str, last: bool = False) -> None:
        self.left = [random(2, 3, 8, 8, seed=seed).astype(kind) for seed in range(3)]
        self.left = [x.transpose(0, 2, 3, 1) for x in self.left] if last else self.left

    def get_next(self) -> dict[str, Array] | None:
        return {"x": self.left.pop()} if self.left else None


def network(kind: str) -> Any:
    return model(NET.replace("TYPE", "float" if kind == "float32" else kind), w=WEIGHTS.astype(kind))


def quantized(folder: Path, kind: str, reader: Any, **arguments: Any) -> str:
    onnx.save(network(kind), folder / "float.onnx")
    path = str(folder / "quantized.onnx")
    vai_q_onnx.quantize_static(str(folder / "float.onnx"), path, reader, print_summary=False, **arguments)
    onnx.checker.check_model(path, full_check=True)
    return path


@pytest.mark.parametrize("name", ["convert_fp16_to_fp32", "fp16_fp32_convert"])
@pytest.mark.parametrize("data", ["float16", "float32"])
def test_a_float16_model_is_quantized_in_float32(name: str, data: str, tmp_path: Path) -> None:
    path = quantized(tmp_path, "float16", Reader(data), **{name: True})
    proto = onnx.load(path)
    assert proto.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert {node.op_type for node in proto.graph.node} >= {"QuantizeLinear", "DequantizeLinear"}
    x = random(2, 3, 8, 8, seed=9)
    want = run(network("float16"), {"x": x.astype(np.float16)})[0].astype(np.float32)
    assert np.abs(run(path, {"x": x})[0] - want).max() < 0.1


@pytest.mark.parametrize("last", [False, True])
def test_images_have_their_channels_last(last: bool, tmp_path: Path) -> None:
    path = quantized(tmp_path, "float32", Reader("float32", last), convert_nchw_to_nhwc=True)
    x = random(2, 3, 8, 8, seed=9)
    plain = quantized(tmp_path.parent, "float32", Reader("float32"))
    got = run(path, {"x": np.ascontiguousarray(x.transpose(0, 2, 3, 1))})[0]
    np.testing.assert_array_equal(got, run(plain, {"x": x})[0].transpose(0, 2, 3, 1))


def test_both_without_a_reader(tmp_path: Path) -> None:
    both = {"convert_fp16_to_fp32": True, "convert_nchw_to_nhwc": True}
    path = quantized(tmp_path, "float16", None, **both)
    assert run(path, {"x": random(1, 8, 8, 3)})[0].shape == (1, 8, 8, 4)


def test_a_model_without_images_is_refused(tmp_path: Path) -> None:
    text = "agraph (float[n,3] x) => (float[n,3] y) { y = Relu (x) }"
    with pytest.raises(InputError, match="Q0716 input 'x'"):
        changed_model(model(text), None, to_fp32=False, to_nhwc=True)
    assert changed_model("absent", None, to_fp32=False, to_nhwc=False) == ("absent", None)

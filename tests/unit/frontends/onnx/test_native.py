"""Element types, opsets and the errors of ONNX Runtime."""

from __future__ import annotations

import onnxruntime as ort
import pytest
from onnx import TensorProto

from quantforge.frontends.onnx.native import (
    ORT_ERRORS,
    STRING,
    UNKNOWN,
    dtype_name,
    element_type,
    newest_opset,
    opset_version,
)

from .text_models import model


def test_element_types_go_both_ways() -> None:
    for code in TensorProto.DataType.values():
        name = dtype_name(code)
        if name != UNKNOWN:
            assert element_type(name) == code
    assert dtype_name(0) == dtype_name(9999) == UNKNOWN
    assert element_type("object") == element_type(STRING) == TensorProto.STRING
    assert element_type("nonsense") == TensorProto.UNDEFINED


def test_opsets() -> None:
    proto = model("g (float[1] x) => (y) { y = Relu(x) }", opset=15)
    assert opset_version(proto) == 15
    assert newest_opset() >= 21
    del proto.opset_import[:]
    assert opset_version(proto) == 0


def test_what_onnx_runtime_raises_is_caught() -> None:
    with pytest.raises(ORT_ERRORS):
        ort.InferenceSession(b"no model")

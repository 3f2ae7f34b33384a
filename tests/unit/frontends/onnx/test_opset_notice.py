"""The notice of a raised opset."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quantforge.frontends.onnx import import_model
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.onnx.opset_notice import opset_notice
from quantforge.graph import QuantSpec
from quantforge.numerics.formats import BFLOAT16, INT8, INT16, INT32, Format

from .text_models import model


@pytest.mark.parametrize(
    ("form", "source", "raised"),
    [(INT8, 13, 0), (BFLOAT16, 13, 0), (INT16, 13, 21), (INT16, 21, 0), (INT32, 13, 15), (INT32, 17, 0)],
    ids=str,
)
def test_it_says_when_and_why(form: Format, source: int, raised: int) -> None:
    graph = import_model(model("g (float[N] x) => (y) { y = Neg(x) }", opset=source))
    graph.set_value(replace(graph.value("x"), quant=QuantSpec(form)))
    graph.set_value(replace(graph.value("y"), quant=QuantSpec(INT8)))
    notice = opset_notice(graph, Form.QDQ)
    if not raised:
        assert notice is None
    else:
        assert notice is not None
        assert str(notice).startswith(
            f"Q0611 model 'g': found 'x' in {form}, opset {source}; expected opset {raised}"
        )

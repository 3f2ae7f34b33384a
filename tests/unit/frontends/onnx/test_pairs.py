"""Which form a value is written in."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.onnx.pairs import constant_names, form_of, is_stored, least_opset
from quantforge.graph import Graph, QuantSpec, Value
from quantforge.numerics.formats import BFLOAT16, INT8, INT16, INT32, Format, IntFormat


def value(form: Format, const: bool = False, zero: int = 0) -> Value:
    data = np.zeros(2, np.float32) if const else None
    return Value("t", (2,), "float32", data, QuantSpec(form, (0.5,), (zero,)))


@pytest.mark.parametrize(
    ("held", "found", "opset"),
    [
        (value(INT8), Form.QDQ, 13),
        (value(INT16), Form.QDQ, 21),
        (value(BFLOAT16), Form.QDQ, 13),
        (value(INT32), Form.VITIS, 15),
        (value(INT32, const=True), Form.QDQ, 13),
        (value(INT32, const=True, zero=1), Form.VITIS, 15),
        (value(IntFormat(32, signed=False), const=True), Form.VITIS, 15),
    ],
)
def test_the_standard_as_far_as_it_goes(held: Value, found: Form, opset: int) -> None:
    assert form_of(held, Form.QDQ) is found
    assert least_opset([held], Form.QDQ) == opset
    assert form_of(held, Form.VITIS) is Form.VITIS


def test_constants_of_other_forms_keep_their_names() -> None:
    weights = value(INT8, const=True)
    assert constant_names(weights, Form.QDQ).made == "t_quantized"
    assert constant_names(weights, Form.FIX_NEURON).made == "t"
    assert is_stored(Graph("g", [weights]), weights, Form.VITIS)


def test_the_borders_of_integer_operators_are_pairs_of_the_standard() -> None:
    value = Value("x", (2,), quant=QuantSpec(INT8, (0.3,), (5,)))
    assert form_of(value, Form.QOPERATOR) is Form.QDQ
    assert least_opset([value], Form.QOPERATOR) == least_opset([value], Form.QDQ) == 13

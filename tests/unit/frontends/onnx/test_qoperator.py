"""Whole graphs on integers, and the borders where there must be some."""

from __future__ import annotations

from collections import Counter

import numpy as np

from quantforge.frontends.onnx.qoperator import planned, with_integer_operators
from quantforge.numerics.formats import INT16

from .test_integer_nodes import COARSE, both, quantized, spec


def test_neighbours_in_float_are_reached_over_borders() -> None:
    text = "a = Add (x, x) m = MaxPool <kernel_shape = [2, 2]> (a) t = Tanh (m) e = Exp (m) y = Mul (e, t)"
    specs = {
        "x": spec(),
        "a": spec(scale=COARSE),
        "m": spec(scale=COARSE),
        "t": spec(),
        "e": spec(),
        "y": spec(),
    }
    graph = quantized(text, specs)
    kinds, found, want = both(graph)
    np.testing.assert_array_equal(found, want)
    counts = Counter(kinds)
    assert counts["QLinearAdd"] == counts["QLinearMul"] == counts["MaxPool"] == 1
    # x, and t and e back from their operators; m for both of these, and y: nothing is converted twice
    assert (counts["QuantizeLinear"], counts["DequantizeLinear"]) == (3, 2)


def test_sixteen_bits_stay_qdq() -> None:
    graph = quantized("y = Add (x, x)", {"x": spec(INT16), "y": spec(INT16)})
    assert planned(graph) == {}
    kinds = both(graph)[0]
    assert kinds == ["QuantizeLinear", "DequantizeLinear", "Add", "QuantizeLinear", "DequantizeLinear"]


def test_the_source_is_not_changed() -> None:
    graph = quantized("y = Add (x, x)", {"x": spec(), "y": spec()})
    with_integer_operators(graph)
    assert [op.kind for op in graph.ops] == ["eltwise-add"]
    assert graph.value("y").quant == spec()

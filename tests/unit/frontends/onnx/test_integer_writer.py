"""Borders between integers and real numbers: written once, when they are needed."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InternalError
from quantforge.frontends.onnx.integer_writer import IntegerWriter
from quantforge.graph import Graph, Op, QuantSpec, Value
from quantforge.numerics.formats import FLOAT16, UINT8

SPEC = QuantSpec(UINT8, (0.5,), (3,))


def source() -> Graph:
    data = np.array([1.0, 2.0], np.float32)
    values = [Value("x", (2,), quant=SPEC), Value("t", (2,), quant=SPEC), Value("y", (2,), quant=SPEC)]
    constant = Value("k", (2,), "float32", data, SPEC)
    ops = [Op("tanh", "t1", ("x",), ("t",)), Op("exp", "e1", ("t",), ("y",))]
    return Graph("g", [*values, constant], ops, ("x",), ("y",))


def test_each_border_is_written_once() -> None:
    writer = IntegerWriter.start(source(), {"x"})
    assert writer.integer("x") == writer.integer("x") == "x_QuantizeLinear_Output"
    assert writer.real("x") == writer.real("x") == "x_DequantizeLinear_Output"
    assert [op.attrs["type"] for op in writer.made.ops] == ["QuantizeLinear", "DequantizeLinear"]
    assert writer.made.value("x").quant is None and writer.made.value("t").quant == SPEC


def test_operators_on_real_numbers_read_and_make_them() -> None:
    graph = source()
    writer = IntegerWriter.start(graph, {"x", "y"})
    for op in graph.ops:
        writer.keep(op)
    writer.real("y")
    made = writer.made
    assert made.op("t1").inputs == ("x_DequantizeLinear_Output",)
    assert made.op("e1").outputs == ("y_QuantizeLinear_Input",)
    assert made.op("y_DequantizeLinear").outputs == ("y",)


def test_constants_are_stored() -> None:
    writer = IntegerWriter.start(source(), {"k"})
    integers, scale, zero = (writer.made.value(name).const for name in writer.quantized("k"))
    assert integers is not None and scale is not None and zero is not None
    assert (integers.tolist(), float(scale), int(zero), str(zero.dtype)) == ([5, 7], 0.5, 3, "uint8")
    assert writer.real("k") == "k"


def test_a_float_format_has_no_integers() -> None:
    graph = Graph("g", [Value("x", (2,), quant=QuantSpec(FLOAT16))], (), ("x",))
    with pytest.raises(InternalError, match="Q0606"):
        IntegerWriter.start(graph, {"x"}).integer("x")

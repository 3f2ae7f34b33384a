from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.compiler.lower import lower
from quantforge.compiler.lowering.writer import Held, NotInXirError, Writer, data_type
from quantforge.diagnostics import InternalError
from quantforge.graph import Graph, Op, QuantSpec, Value
from quantforge.numerics.formats import INT8
from quantforge.xmodel.model import DataType, XModel
from tests.networks import Net

SPEC = QuantSpec.power_of_two(INT8, 4)


def test_names_are_unique_and_those_of_values_are_kept_for_them() -> None:
    net = Net()
    net.graph.set_value(replace(net.graph.value("x"), quant=SPEC))
    net.graph.set_value(Value("x_fix", ("batch", 3, 6, 6)))
    net.graph.add_op(Op("relu", "r", ("x",), ("x_fix",)))
    model = lower(net.done("x_fix"))
    assert model.ops["x_fix"].kind == "relu" and model.ops["x_fix_1"].kind == "fix"


def test_moved_data_that_is_quantized_stays_on_its_grid() -> None:
    """Every operator on the way has a fix of its own, so that it can run in integers."""
    net = Net()
    first = net.conv("c", "x", 6)
    net.graph.set_value(replace(net.graph.value(first), quant=SPEC))
    net.graph.set_value(Value("f", ("batch", 216), quant=SPEC))
    net.graph.add_op(Op("flatten", "f", (first,), ("f",), {"axis": 1}))
    model = lower(net.done("f"))
    kinds = [op.kind for op in model.ops.values() if op.kind not in ("data", "const")]
    assert kinds == ["conv2d", "fix", "transpose", "fix", "reshape", "fix"]
    assert model.attrs["return_ops"].value == ("f_reshape_fix",) or model.ops["f"].kind in (
        "transpose",
        "reshape",
    )


def test_a_renamed_value_with_another_spec_is_rounded_again() -> None:
    net = Net()
    first = net.add("relu", "r", ("x",))
    net.graph.set_value(replace(net.graph.value(first), quant=SPEC))
    second = net.add("identity", "i", (first,))
    net.graph.set_value(replace(net.graph.value(second), quant=QuantSpec.power_of_two(INT8, 2)))
    model = lower(net.done(second))
    assert model.ops["i.out_fix"].args["input"] == ("r.out_fix",)
    assert model.ops["i.out_fix"].get("fix_point") == 2


def test_constants_are_written_once_per_form() -> None:
    writer = Writer(Graph("g"), XModel("g"))
    value = Value("w", (2, 3), const=np.zeros((2, 3), np.float32))
    assert writer.constant(value, np.zeros((2, 3), np.float32), "rows") == "w"
    assert writer.constant(value, np.zeros((2, 3), np.float32), "rows") == "w"
    assert writer.constant(value, np.zeros((3, 2), np.float32), "columns") == "w_1"


def test_types() -> None:
    assert data_type(Value("v", (), "bool")) == DataType("UINT", 8)
    assert data_type(Value("v", (), "float16")) == DataType("FLOAT", 16)
    for dtype in ("string", "not-a-tensor", "complex64"):
        with pytest.raises(NotInXirError):
            data_type(Value("v", (), dtype))


def test_a_flattened_image_is_for_products_only() -> None:
    writer = Writer(Graph("g"), XModel("g"))
    held = Held("x", (1, 6), (1, 6), (0, 1), "x", lanes=np.arange(6))
    with pytest.raises(InternalError, match="Q1190"):
        writer.view(held, (1, 0))


def test_an_empty_constant_cannot_be_written() -> None:
    with pytest.raises(NotInXirError):
        Writer(Graph("g"), XModel("g")).literal("k", np.zeros(0, np.float32))

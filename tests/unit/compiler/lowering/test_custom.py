from __future__ import annotations

from typing import Any

import pytest

from quantforge.compiler.lower import lower
from quantforge.diagnostics import InputError
from quantforge.graph import Graph, Op, Value


def graph(kind: str, inputs: int = 2, **attrs: Any) -> Graph:
    names = tuple(f"x{index}" for index in range(inputs))
    said = {"type": kind, "domain": "custom", **{f"attr.{name}": value for name, value in attrs.items()}}
    values = [Value(name, ("batch", 3, 4, 5)) for name in (*names, "y")]
    return Graph("g", values, [Op("opaque", "y", names, ("y",), said)], names, ("y",))


def test_a_type_of_the_user_keeps_the_order_of_axes_and_all_inputs() -> None:
    settings = {"size": 3, "scale": 0.5, "exact": True, "mode": "fast", "pads": (1, 2), "mixed": (1, 0.5)}
    op = next(op for op in lower(graph("MyOp", **settings)).ops.values() if op.kind == "MyOp")
    assert op.tensor.shape == (1, 3, 4, 5) and len(op.args["input"]) == 2
    kinds = {name: op.attrs[name].kind for name in settings}
    assert kinds == {
        "size": "int32", "scale": "float", "exact": "bool", "mode": "string", "pads": "int32_vec",
        "mixed": "float_vec",
    }  # fmt: skip
    assert op.attrs["shape"].value == (1, 3, 4, 5) and op.attrs["data_type"].value == "FLOAT32"


def test_a_type_of_xir_gets_its_arguments_and_the_order_of_images() -> None:
    made = lower(graph("elu", 1, alpha=0.5))
    op = next(op for op in made.ops.values() if op.kind == "elu")
    assert op.tensor.shape == (1, 4, 5, 3) and op.args == {"input": ("x0",)}
    assert op.attrs["alpha"].kind == "float" and "shape" not in op.attrs


def test_too_many_inputs_and_opaque_operators_of_a_framework_are_refused() -> None:
    with pytest.raises(InputError, match=r"Q1153 .*elu with 2 inputs"):
        lower(graph("elu", 2))
    foreign = graph("aten.sort", 1)
    foreign.replace_op(Op("opaque", "y", ("x0",), ("y",), {"type": "aten.sort", "domain": "torch"}))
    with pytest.raises(InputError, match=r"Q1153 .*opaque, which XIR does not have"):
        lower(foreign)

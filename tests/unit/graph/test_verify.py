from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InternalError
from quantforge.graph import Graph, Op, QuantSpec, Value
from quantforge.graph.verify import problems, verify
from quantforge.numerics.formats import INT8, UINT8


def good() -> Graph:
    w = np.ones((4, 3, 1, 1), np.float32)
    values = [
        Value("x", ("batch", 3, 8, 8)),
        Value("w", w.shape, "float32", w, QuantSpec(INT8, (0.5,) * 4, (0,) * 4, 0)),
        Value("a", ("batch", 4, 8, 8), quant=QuantSpec.power_of_two(INT8, 5)),
        Value("y", ("batch", 4, 8, 8)),
    ]
    ops = [
        Op("conv2d", "conv", ("x", "w", ""), ("a",), {"stride": (1, 1)}),
        Op("relu", "act", ("a",), ("y", "")),
    ]
    return Graph("g", values, ops, ["x"], ["y"])


def test_a_good_graph_passes() -> None:
    verify(good())
    verify(good(), {"conv2d", "relu"})
    verify(Graph("empty"))


def changed_value(name: str, **fields: Any) -> Graph:
    graph = good()
    graph.set_value(replace(graph.value(name), **fields))
    return graph


def changed_op(name: str, **fields: Any) -> Graph:
    graph = good()
    graph.replace_op(replace(graph.op(name), **fields))
    return graph


def with_interface(inputs: tuple[str, ...] = ("x",), outputs: tuple[str, ...] = ("y",)) -> Graph:
    graph = good()
    graph.inputs, graph.outputs = inputs, outputs
    return graph


def spec(scales: int, zeros: int, axis: int | None) -> QuantSpec:
    return QuantSpec(INT8, (0.5,) * scales, (0,) * zeros, axis)


BROKEN = [
    (changed_op("act", inputs=("b",)), "op 'act' reads 'b', which is not a value"),
    (changed_op("conv", outputs=("q",)), "op 'conv' computes 'q', which is not a value"),
    (changed_op("conv", outputs=("q",)), "op 'act' reads 'a', which nothing computes"),
    (changed_op("conv", inputs=("y", "w")), "op 'conv' reads 'y' before 'act' computes it"),
    (changed_op("act", outputs=("a",)), "'a' is computed twice, the second time by op 'act'"),
    (changed_op("act", outputs=("",)), "op 'act' has no output"),
    (changed_op("act", outputs=("w",)), "op 'act' computes the constant 'w'"),
    (changed_op("act", outputs=("x",)), "graph input 'x' is computed by an op"),
    (changed_op("act", attrs={"alpha": [1, 2]}), "op 'act' has the attribute alpha=[1, 2] of type list"),
    (changed_op("act", attrs={"alpha": (1, 2.0)}), "op 'act' has the attribute alpha=(1, 2.0) of type tuple"),
    (changed_op("act", attrs={"alpha": np.float32(1)}), "of type float32"),
    (changed_op("act", attrs={"alpha": None}), "of type NoneType"),
    (changed_op("act", kind="relu7"), "op 'act' is of the unknown kind 'relu7'"),
    (with_interface(inputs=("x", "q")), "graph input 'q' is not a value"),
    (with_interface(inputs=("x", "x")), "a graph input is listed twice"),
    (with_interface(inputs=()), "op 'conv' reads 'x', which nothing computes"),
    (with_interface(outputs=("q",)), "graph output 'q' is not a value"),
    (with_interface(inputs=(), outputs=("x",)), "graph output 'x' is computed by nothing"),
    (changed_value("w", dtype="float16"), "constant 'w' holds float32, its value says float16"),
    (changed_value("w", shape=(4, 3)), "constant 'w' has shape (4, 3, 1, 1), its value says (4, 3)"),
    (changed_value("w", quant=spec(3, 3, 0)), "'w' has 3 scales along axis 0 of size 4"),
    (changed_value("w", quant=spec(4, 4, 4)), "'w' of 4 axes has scales along axis 4"),
    (changed_value("w", quant=spec(4, 4, None)), "'w' has 4 scales and no axis"),
    (changed_value("w", quant=spec(4, 1, 0)), "'w' has 4 scales and 1 zero points"),
    (changed_value("a", dtype="int64"), "'a' of int64 carries a spec"),
    (changed_value("a", quant=QuantSpec(UINT8, (1.0,), (-1,))), "'a' has the zero point -1 outside uint8"),
]


@pytest.mark.parametrize(("graph", "text"), BROKEN, ids=[text for _, text in BROKEN])
def test_a_broken_graph_is_described(graph: Graph, text: str) -> None:
    assert any(text in problem for problem in problems(graph, {"conv2d", "relu"}))
    with pytest.raises(InternalError) as error:
        verify(graph, {"conv2d", "relu"})
    assert text in str(error.value)


def test_the_error_lists_all_problems() -> None:
    graph = changed_value("w", dtype="float16", shape=(4,), quant=None)
    with pytest.raises(InternalError) as error:
        verify(graph)
    assert str(error.value) == (
        "Q0402 graph g: found 2 problems: constant 'w' holds float32, its value says float16; constant 'w' has shape "
        "(4, 3, 1, 1), its value says (4,); expected a well-formed graph; try: report this bug"
    )


def test_dynamic_and_unknown_sizes_are_not_compared() -> None:
    assert problems(changed_value("a", quant=spec(7, 7, 0))) == ()
    assert problems(changed_value("a", shape=None, quant=spec(7, 7, 1))) == ()
    assert problems(changed_value("a", quant=spec(1, 1, 1))) == ()

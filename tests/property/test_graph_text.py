"""Any well-formed graph survives printing and parsing, whatever its names, attributes and specs."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.graph import Graph, Op, Origin, QuantSpec, Value
from quantforge.graph.text import large_constants, parse_graph, print_graph
from quantforge.numerics.formats import BFLOAT16, FLOAT16, IntFormat
from quantforge.numerics.rounding import Rounding

names = st.text(min_size=1, max_size=8) | st.sampled_from(
    ["_", "%x", "a:0", "a b", 'q"', "a/b.c-d", "#", "\n", "\u2028", "é"]
)
dims = st.integers(0, 2**40) | st.none() | names
shapes = st.none() | st.lists(dims, max_size=4).map(tuple)
floats = st.floats(width=64) | st.floats(width=32)
scalars = st.integers() | floats | names | st.booleans()
tuples = st.one_of(st.lists(items, max_size=4).map(tuple) for items in (st.integers(), floats, names))
attrs = st.dictionaries(names, scalars | tuples, max_size=4)
steps = st.floats(min_value=1e-300, max_value=1e300)
integer_formats = st.builds(IntFormat, st.integers(2, 32), st.booleans()) | st.just(IntFormat(8, narrow=True))
formats = integer_formats | st.sampled_from([FLOAT16, BFLOAT16])
dtypes = st.sampled_from(["float32", "float64", "float16", "int64", "int8", "uint8", "bool", "uint64"])


@st.composite
def specs(draw: st.DrawFn) -> QuantSpec:
    rounding = draw(st.sampled_from(list(Rounding)))
    if draw(st.booleans()):
        return QuantSpec.power_of_two(draw(formats), draw(st.integers(-1000, 1000)), rounding)
    scale = tuple(draw(st.lists(steps, min_size=1, max_size=4)))
    zero_point = tuple(draw(st.lists(st.integers(-(2**31), 2**31), min_size=len(scale), max_size=len(scale))))
    return QuantSpec(draw(formats), scale, zero_point, draw(st.none() | st.integers(-3, 3)), rounding)


@st.composite
def constants(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(dtypes))
    shape = tuple(draw(st.lists(st.integers(0, 5), max_size=3)))
    raw = np.random.default_rng(draw(st.integers(0, 2**32))).integers(
        0, 256, (*shape, dtype.itemsize), dtype=np.uint8
    )
    data = np.ascontiguousarray(raw if dtype.kind != "b" else raw % 2).view(dtype).reshape(shape)
    if dtype.kind == "f" and draw(st.booleans()):
        with np.errstate(over="ignore", invalid="ignore"):
            data = np.full(shape, draw(floats)).astype(dtype)
    return data.astype(dtype)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    labels = draw(st.lists(names, min_size=4, max_size=10, unique=True))
    kinds = draw(
        st.lists(
            st.sampled_from(["input", "const", "free", "made"]), min_size=len(labels), max_size=len(labels)
        )
    )
    graph = Graph(draw(names))
    known: list[str] = []
    for label, kind in zip(labels, kinds, strict=True):
        const = draw(constants()) if kind == "const" else None
        shape, dtype = (draw(shapes), draw(dtypes)) if const is None else (const.shape, str(const.dtype))
        graph.set_value(Value(label, shape, dtype, const, draw(st.none() | specs())))
        if kind == "input":
            graph.inputs = (*graph.inputs, label)
        if kind == "made":
            inputs = tuple(draw(st.lists(st.sampled_from(["", *known]), max_size=3)))
            origin = Origin(tuple(draw(st.lists(names, max_size=2))), draw(st.none() | names))
            outputs = draw(st.sampled_from([(label,), (label, ""), ("", label)]))
            graph.add_op(Op(draw(names), draw(names) + str(len(known)), inputs, outputs, draw(attrs), origin))
        known.append(label)
    graph.outputs = tuple(draw(st.lists(st.sampled_from(known), max_size=2)))
    return graph


def record(graph: Graph) -> Any:
    """Everything the text holds, comparable (NaN by its text, data by its bytes), values sorted by name."""
    values = sorted(
        (
            v.name,
            v.shape,
            v.dtype,
            v.quant,
            v.const is None or (v.const.shape, str(v.const.dtype), v.const.tobytes()),
        )
        for v in graph.values
        if v.name
    )
    ops = [
        (o.kind, o.name, o.inputs, o.outputs, repr(dict(o.attrs)), o.origin.names, o.origin.made_by)
        for o in graph.ops
    ]
    return graph.name, graph.inputs, graph.outputs, ops, [repr(v) for v in values]


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_round_trip(graph: Graph) -> None:
    text = print_graph(graph)
    back = parse_graph(text, large_constants(graph))
    assert record(back) == record(graph)
    assert print_graph(back) == text

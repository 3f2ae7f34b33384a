"""Fill in shapes and dtypes of a whole graph from its inputs and constants."""

from __future__ import annotations

from dataclasses import replace

from quantforge.graph import Dim, Graph, Shape, Value
from quantforge.ops.opspec import TypedShape
from quantforge.ops.registry import spec


def infer_shapes(graph: Graph) -> Graph:
    """A copy of `graph` in which every value has the shape and dtype its operator gives it.

    What a rule cannot tell (opaque operators, unknown inputs) keeps what the door recorded; a size that a rule
    finds symbolic or unknown keeps the recorded number.
    """
    graph = graph.copy()
    for op in graph.ops:
        if op.kind == "opaque":
            continue
        found = spec(op.kind).infer(op, graph.input_values(op))
        for name, typed in zip(op.outputs, found, strict=False):
            if name:
                recorded = graph.value(name) if graph.has_value(name) else Value(name)
                graph.set_value(_merged(recorded, typed))
    return graph


def _merged(recorded: Value, typed: TypedShape) -> Value:
    shape, dtype = typed
    if shape is None:
        return replace(recorded, dtype=dtype)
    return replace(recorded, shape=_known_sizes(shape, recorded.shape), dtype=dtype)


def _known_sizes(found: Shape, recorded: Shape | None) -> Shape:
    if recorded is None or len(recorded) != len(found):
        return found
    return tuple(_known(new, old) for new, old in zip(found, recorded, strict=True))


def _known(new: Dim, old: Dim) -> Dim:
    """A number beats a symbol, a symbol beats nothing."""
    if isinstance(new, int) or old is None:
        return new
    return old if isinstance(old, int) or new is None else new

"""Looking at what a value is made of, for passes that recognise a function written as several operators."""

from __future__ import annotations

from collections.abc import Iterator

from quantforge.graph import Array, Graph, Op
from quantforge.ops.attributes import flag, ints

_COMMUTE = ("eltwise-add", "eltwise-mul", "eltwise-max", "eltwise-min")


def maker(graph: Graph, name: str, *kinds: str) -> Op | None:
    """The op of one of these kinds that computes `name`; None when something else does."""
    op = graph.producer(name) if name else None
    return op if op is not None and op.kind in kinds else None


def operands(op: Op) -> Iterator[tuple[str, str]]:
    """Both inputs of `op`; the other way round too where the order does not matter."""
    if len(op.inputs) == 2:
        yield op.inputs[0], op.inputs[1]
        if op.kind in _COMMUTE:
            yield op.inputs[1], op.inputs[0]


def beside_constant(graph: Graph, op: Op) -> tuple[str, Array] | None:
    """The computed operand of `op` and its constant one; None when there are not one of each."""
    for data, other in operands(op):
        array = graph.value(other).const
        if array is not None and graph.value(data).const is None:
            return data, array
    return None


def scalar(graph: Graph, name: str) -> float | None:
    """The number that a constant of one element holds."""
    array = graph.value(name).const if name else None
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def squared(graph: Graph, name: str) -> str | None:
    """x where `name` is x * x or x ** 2."""
    op = maker(graph, name, "eltwise-mul", "eltwise-pow")
    if op is None or len(op.inputs) != 2:
        return None
    if op.kind == "eltwise-mul":
        return op.inputs[0] if op.inputs[0] == op.inputs[1] else None
    return op.inputs[0] if scalar(graph, op.inputs[1]) == 2.0 else None


def image_mean(graph: Graph, name: str) -> str | None:
    """x where `name` is its mean over all axes behind the channels, which stay as axes of size 1."""
    op = maker(graph, name, "reduction-mean", "avgpool1d", "avgpool2d", "avgpool3d")
    if op is None:
        return None
    shape = graph.value(op.inputs[0]).shape
    if op.kind != "reduction-mean":
        return op.inputs[0] if flag(op, "global") else None
    if shape is None or not flag(op, "keepdims", True):
        return None
    axes = sorted(axis % len(shape) for axis in ints(op, "axes", ()))
    return op.inputs[0] if len(shape) > 2 and axes == list(range(2, len(shape))) else None


def between(graph: Graph, result: str, source: str) -> tuple[str, ...]:
    """Names of the ops that compute `result` from `source`, in graph order."""
    found: set[str] = set()
    waiting = [result]
    while waiting:
        op = graph.producer(waiting.pop())
        if op is None or op.name in found:
            continue
        found.add(op.name)
        waiting += [name for name in op.inputs if name and name != source]
    return tuple(op.name for op in graph.ops if op.name in found)


def is_closed(graph: Graph, names: tuple[str, ...], result: str) -> bool:
    """Whether nothing but the ops `names` reads what they compute, `result` excepted."""
    chosen = set(names)
    for name in names:
        for value in graph.op(name).outputs:
            readers = {reader.name for reader in graph.consumers(value)}
            if value != result and (value in graph.outputs or not readers <= chosen):
                return False
    return True

"""Regions of a graph that compute one value from one other: found by walking, recognised by what they compute.

A function can be written in many orders, x/2 (1 + e), (x e') / 2 and so on. Two regions are the same function when
they give the same numbers, so a region is run on a few points and compared, rather than matched node by node.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from quantforge.graph import Array, Graph, Op
from quantforge.ops.registry import spec

ARITHMETIC = frozenset(
    {f"eltwise-{name}" for name in ("add", "sub", "mul", "div", "pow")} | {"neg", "identity"}
)
_DEPTH = 12  # operators that a walk goes through, in each direction


def upstream(graph: Graph, start: str, kinds: Collection[str]) -> list[str]:
    """`start` and the values it is computed from by operators of `kinds`, nearest first."""
    found, waiting = [start], [start]
    while waiting and len(found) <= _DEPTH:
        op = graph.producer(waiting.pop(0))
        if op is None or op.kind not in kinds:
            continue
        for name in op.inputs:
            if name and name not in found and not graph.value(name).is_const:
                found.append(name)
                waiting.append(name)
    return found


def downstream(graph: Graph, start: str, kinds: Collection[str]) -> Iterator[str]:
    """The values computed from `start` by operators of `kinds`, each the only reader of the one before."""
    for _ in range(_DEPTH):
        readers = graph.consumers(start)
        if len(readers) != 1 or readers[0].kind not in kinds or len(readers[0].outputs) != 1:
            return
        start = readers[0].outputs[0]
        yield start


def region(graph: Graph, source: str, result: str, kinds: Collection[str]) -> tuple[Op, ...] | None:
    """The operators that compute `result` from `source` and constants of one number; None when there is more."""
    found: dict[str, Op] = {}
    waiting = [result]
    while waiting:
        name = waiting.pop()
        if name == source:
            continue
        op, value = graph.producer(name), graph.value(name)
        if value.const is not None and value.const.size == 1:
            continue
        if op is None or op.kind not in kinds or len(found) > 2 * _DEPTH:
            return None
        if op.name not in found:
            found[op.name] = op
            waiting += [each for each in op.inputs if each]
    ordered = tuple(op for op in graph.ops if op.name in found)
    return ordered if any(source in op.inputs for op in ordered) else None


def values_of(graph: Graph, ops: Collection[Op], source: str, result: str, x: Array) -> Array:
    """What `ops` compute of `x`, in its dtype; not a number where they do not fit."""
    known: dict[str, Array] = {source: x}
    with np.errstate(all="ignore"):
        for op in ops:
            arrays = [known[name] if name in known else _constant(graph, name, x) for name in op.inputs]
            try:
                known[op.outputs[0]] = np.asarray(spec(op.kind).compute(op, arrays)[0])
            except (ValueError, IndexError):
                return np.full_like(x, np.nan)
    return known[result]


def _constant(graph: Graph, name: str, x: Array) -> Array | None:
    data = graph.value(name).const if name else None
    return None if data is None else data.astype(x.dtype)

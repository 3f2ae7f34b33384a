"""Recognise a division by the Euclidean norm that was written as several operators.

    y = x / sqrt(max(sum(x * x, one axis), eps))   or with  + eps,   or as a product with the reciprocal

becomes l2-normalize, which has no epsilon: with eps at most 1e-6 (the usual ones are 1e-12) only vectors shorter than
a thousandth change, and those of zeros are zeros either way. A larger epsilon, a sum over several axes, or one that
drops its axis is left alone with a note, where the original replaces it all the same and always takes the last axis.
Source: FuseL2Norm of the ONNX quantizer of Vitis AI.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from quantforge.graph import Graph, Op
from quantforge.ops.attributes import flag, ints, number
from quantforge.passes.matching import between, is_closed, maker, operands, scalar, squared
from quantforge.passes.result import Note, PassResult

NAME = "fuse-l2-norm"
LARGEST_EPSILON = 1e-6


def fuse_l2_norms(graph: Graph, keep: Callable[[Op], bool] = lambda op: False) -> PassResult:
    """Changed: the last operators of norms written out, of which no part is kept by `keep`."""
    graph = graph.copy()
    changed, notes = [], []
    for op in graph.ops:
        if op.kind not in ("eltwise-mul", "eltwise-div"):
            continue
        for source, scale in operands(op):
            total = _norm(graph, scale, inverse=op.kind == "eltwise-mul")
            if total is None or squared(graph, total[0].inputs[0]) != source:
                continue
            names = between(graph, op.outputs[0], source)
            reason = _refusal(graph, *total)
            if any(keep(graph.op(name)) for name in names):
                break
            if reason is None and not is_closed(graph, names, op.outputs[0]):
                reason = "something else reads a part of it"
            if reason is None:
                _fuse(graph, op, source, total[0], names)
                changed.append(op.name)
            text = reason or f"{len(names)} operators made one l2-normalize"
            notes.append(Note(NAME, op.name, reason is None, text))
            break
    graph.prune()
    return PassResult(graph, tuple(changed), tuple(notes))


def _norm(graph: Graph, name: str, inverse: bool) -> tuple[Op, float] | None:
    """The sum and epsilon where `name` is sqrt(max(sum, epsilon)), or one over it."""
    if inverse:
        op = maker(graph, name, "reciprocal")
        if op is None:
            return None
        name = op.inputs[0]
    root = maker(graph, name, "sqrt")
    if root is None:
        return None
    inner, epsilon = root.inputs[0], 0.0
    guard = maker(graph, inner, "eltwise-max", "eltwise-add", "clip")
    if guard is not None and guard.kind == "clip":
        inner, epsilon = guard.inputs[0], number(guard, "min", 0.0)
    elif guard is not None:
        for data, other in operands(guard):
            if (found := scalar(graph, other)) is not None:
                inner, epsilon = data, found
    total = maker(graph, inner, "reduction-sum")
    return None if total is None else (total, epsilon)


def _refusal(graph: Graph, total: Op, epsilon: float) -> str | None:
    if not 0.0 <= epsilon <= LARGEST_EPSILON:
        return f"its epsilon {epsilon:g} is more than {LARGEST_EPSILON:g}, which would be lost"
    if len(ints(total, "axes", ())) != 1:
        return "it sums over several axes"
    return None if flag(total, "keepdims", True) else "its sum drops the axis"


def _fuse(graph: Graph, op: Op, source: str, total: Op, names: tuple[str, ...]) -> None:
    rank = len(graph.value(source).shape or ())
    axis = ints(total, "axes")[0]
    attrs = {"axis": axis % rank if rank else axis, "p": 2}
    made = op.changed(NAME, kind="l2-normalize", inputs=(source,), attrs=attrs)
    origins = tuple(name for other in names for name in graph.op(other).origin.names)
    graph.replace_op(replace(made, origin=replace(made.origin, names=origins)))

"""Operators that only move data: most of them rename axes and write nothing until a later operator needs it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from quantforge.compiler.lowering import layout
from quantforge.compiler.lowering.layout import Sizes
from quantforge.compiler.lowering.writer import Held, NotInXirError, Rule, Writer, int32, int32s
from quantforge.graph import Array, Graph, Op
from quantforge.ops.attributes import integer, ints
from quantforge.ops.movement import split_sizes
from quantforge.xmodel.model import Attrs

# Operators that do not care in which order the elements of a flattened image come.
_POINTWISE = frozenset(
    {"relu", "relu6", "clip", "leaky-relu", "sigmoid", "tanh", "swish", "mish", "exp", "neg", "hard-swish"}
    | {"hard-sigmoid", "gelu", "elu", "selu", "identity", "dropout"}
)
_LARGEST = 2**31 - 1


def identity(writer: Writer, op: Op) -> None:
    """identity and dropout: another name."""
    x = writer.input(op)
    writer.rename(op, x, x.order)


def reshape(writer: Writer, op: Op) -> None:
    """reshape, flatten, squeeze and unsqueeze: new axes over the same memory where its order allows it.

    An image that is flattened for matrix products with constant weights stays in memory as it is: the columns of
    the weights follow it. In all other cases a transpose first brings together what the reshape takes as one.
    """
    x, new = writer.input(op), writer.shape(op.outputs[0])
    if x.lanes is not None:
        writer.rename(op, x, x.order)
        return
    plan = layout.reshape(x.shape, new)
    order = plan.target(x.shape, new, x.order)
    if order is not None:
        writer.rename(op, x, order)
        return
    lanes = _flattened(writer.graph, op, x, plan)
    if lanes is not None:
        _write_flat(writer, op, x, lanes)
        return
    moved = writer.view(x, plan.gathered(x.shape, x.order))
    order = plan.target(x.shape, new, moved.order)
    writer.rename(op, moved, layout.identity(len(new)) if order is None else order)


def _flattened(graph: Graph, op: Op, x: Held, plan: layout.Reshape) -> Array | None:
    """Which element of the new last axis each place in memory holds, if that is all the reshape does to memory."""
    name = op.outputs[0]
    shape = graph.value(name).shape or ()
    last = len(shape) - 1
    if last < 1 or not plan.runs or plan.runs[-1][1] != (last,) or not _feeds_products(graph, name):
        return None
    run, before = plan.runs[-1][0], [axis for axes, _ in plan.runs[:-1] for axis in axes]
    solid = layout.solid(x.shape, x.order)
    if list(solid[: len(before)]) != before or set(solid[len(before) :]) != set(run):
        return None
    inner = solid[len(before) :]
    places = np.arange(math.prod(x.shape[axis] for axis in run)).reshape([x.shape[axis] for axis in run])
    return places.transpose([run.index(axis) for axis in inner]).reshape(-1)


def _feeds_products(graph: Graph, name: str) -> bool:
    """Whether only matrix products with constant weights read the value, if need be behind pointwise operators."""
    readers = graph.consumers(name)
    return (
        bool(readers)
        and name not in graph.outputs
        and all(
            (op.kind in _POINTWISE and _feeds_products(graph, op.outputs[0])) or _is_linear(graph, op, name)
            for op in readers
        )
    )


def _is_linear(graph: Graph, op: Op, name: str) -> bool:
    if op.kind not in ("matmul", "inner-product") or op.inputs[0] != name or name in op.inputs[1:]:
        return False
    weights = graph.const(op, 1)
    return weights is not None and weights.ndim == 2


def _write_flat(writer: Writer, op: Op, x: Held, lanes: Array) -> None:
    name = op.outputs[0]
    shape = writer.shape(name)
    whole = writer.view(x)
    flat = Held(whole.op, whole.tensor, shape, layout.identity(len(shape)), name, x.dtype, x.spec)
    placed = writer.view(flat)
    held = Held(placed.op, placed.tensor, shape, placed.order, name, x.dtype, x.spec, lanes)
    writer.bind(name, held)


def transpose(writer: Writer, op: Op) -> None:
    """The same memory under other names of axes."""
    x = writer.input(op)
    rank = len(x.shape)
    axes = tuple(axis % rank for axis in ints(op, "order", tuple(reversed(range(rank)))))
    writer.rename(op, x, layout.after_transpose(x.order, axes))


def strided_slice(writer: Writer, op: Op) -> None:
    """Slices with positive steps."""
    x = writer.input(op)
    rank = len(x.shape)
    begin, end = ints(op, "begin"), ints(op, "end")
    axes, steps = ints(op, "axes", tuple(range(len(begin)))), ints(op, "strides", (1,) * len(begin))
    if min(steps, default=1) < 1:
        raise NotInXirError("a slice that runs backwards")
    cuts = {
        axis % rank: slice(b, e, s).indices(x.shape[axis])
        for axis, b, e, s in zip(axes, begin, end, steps, strict=True)
    }
    _cut(writer, op, x, cuts, writer.shape(op.outputs[0]))


def split(writer: Writer, op: Op) -> None:
    """One slice per part."""
    x = writer.input(op)
    axis, start = integer(op, "axis", 0) % len(x.shape), 0
    for index, size in enumerate(split_sizes(op, x.shape[axis])):
        stop = start + int(size or 0)
        _cut(writer, op, x, {axis: (start, stop, 1)}, writer.shape(op.outputs[index]), index)
        start = stop


def gather(writer: Writer, op: Op) -> None:
    """Constant indices in even steps, one of them included, are a slice."""
    indices = writer.const(op, 1)
    if indices is None or writer.graph.value(op.inputs[0]).is_const:
        raise NotInXirError("indices that are computed")
    x = writer.input(op)
    axis = integer(op, "axis", 0) % len(x.shape)
    wanted = indices.reshape(-1).astype(np.int64)
    wanted = np.where(wanted < 0, wanted + x.shape[axis], wanted)
    steps = np.diff(wanted)
    step = int(steps[0]) if steps.size else 1
    if indices.ndim > 1 or step < 1 or (steps != step).any():
        raise NotInXirError("indices that are no slice")
    cut = (int(wanted[0]), int(wanted[-1]) + 1, step)
    _cut(
        writer, op, x, {axis: cut}, writer.shape(op.outputs[0]), dropped=(axis,) if indices.ndim == 0 else ()
    )


def _cut(
    writer: Writer,
    op: Op,
    x: Held,
    cuts: dict[int, tuple[int, int, int]],
    out: Sizes,
    index: int = 0,
    dropped: Sequence[int] = (),
) -> None:
    """A strided_slice; along one axis that a reshape split off, of the tensor before the reshape where it can be."""
    name = op.outputs[index]
    real = {axis: cut for axis, cut in cuts.items() if cut != (0, x.shape[axis], 1)}
    kept = tuple(
        len(range(*cuts[axis])) if axis in cuts else size for axis, size in enumerate(x.shape)
    )  # with dropped axes as 1
    order = layout.without(x.order, dropped) if dropped else x.order
    if not real:
        writer.bind(name, x.renamed(name, out, order))
        return
    found = _cut_of_tensor(x, real)
    if found is None:
        x = writer.view(x)
        rows = [real.get(axis, (0, x.shape[axis], 1)) for axis in x.order]
        found = [(b, b + (len(range(b, e, s)) - 1) * s + 1, s) for b, e, s in rows]
    sizes = tuple(len(range(*row)) for row in found)
    attrs: Attrs = {
        key: int32s([row[place] for row in found]) for place, key in enumerate(("begin", "end", "strides"))
    }
    whole = Held(x.op, x.tensor, kept, x.order, name, x.dtype, x.spec)
    target = sizes if sizes != layout.stored(out, order) else None
    made = writer.output(op, "strided_slice", {"input": [whole.op]}, attrs, order, index=index, tensor=target)
    del made


def _cut_of_tensor(x: Held, cuts: dict[int, tuple[int, int, int]]) -> list[tuple[int, int, int]] | None:
    """The slice of one element, as a slice of a tensor whose axis a reshape has split; None when it is none."""
    if x.tensor == x.stored or len(cuts) != 1:
        return None
    ((axis, (begin, end, _)),) = cuts.items()
    if len(range(begin, end)) != 1:
        return None
    place, sizes = x.order.index(axis), x.stored
    for old, new in layout.reshape(x.tensor, sizes).runs:
        if place not in new:
            continue
        outer = math.prod(sizes[p] for p in new if p < place)
        inner = math.prod(sizes[p] for p in new if p > place)
        if len(old) != 1 or (outer != 1 and inner != 1):
            return None
        rows = [(0, size, 1) for size in x.tensor]
        length = x.tensor[old[0]]
        if inner == 1:
            step = sizes[place]
            rows[old[0]] = (begin, begin + (outer - 1) * step + 1, step)
        else:
            rows[old[0]] = (begin * inner, (begin + 1) * inner, 1)
        return rows if rows[old[0]][1] <= length else None
    return None


def concat(writer: Writer, op: Op) -> None:
    """All parts in the order of the first image among them."""
    rank = len(writer.shape(op.outputs[0]))
    parts = range(len(op.inputs))
    orders = [
        writer.input(op, index).order for index in parts if not writer.graph.value(op.inputs[index]).is_const
    ]
    image = layout.channels_last(rank)
    order = image if image in orders else (orders or [layout.identity(rank)])[0]
    names = [writer.placed(op, index, order) for index in parts]
    axis = order.index(integer(op, "axis") % rank)
    writer.output(op, "concat", {"input": names}, {"axis": int32(axis)}, order)


RULES: dict[str, Rule] = {
    "identity": identity,
    "dropout": identity,
    "reshape": reshape,
    "flatten": reshape,
    "squeeze": reshape,
    "unsqueeze": reshape,
    "transpose": transpose,
    "strided-slice": strided_slice,
    "split": split,
    "gather": gather,
    "concat": concat,
}

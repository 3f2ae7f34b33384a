"""Moving data where sizes or dtypes are more than the graph's kinds take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from quantforge.frontends.torch.native import Ref
from quantforge.frontends.torch.onnx_forms.writer import LAST, Writer

Form = Callable[[Writer], None]


def _reshape(w: Writer) -> None:
    """view and reshape with several sizes that depend on the run."""
    w.result("Reshape", [w.source.name, w.sizes(w.first_of("size", "shape"))])


def _slice(w: Writer) -> None:
    axis = w.axis("dim", 0)
    cut = _cut(w, w.value("self"), axis, w.arg("start", 0), w.arg("end", LAST), w.arg("step", 1))
    w.results(cut)


def _cut(w: Writer, x: str, axis: int, begin: Any, end: Any, step: int = 1) -> str:
    return w.node("Slice", [x, w.sizes([begin]), w.sizes([end]), w.constant([axis]), w.constant([step])])


def _select(w: Writer) -> None:
    index = w.operand(w.arg("index"), "int64")
    w.result("Gather", [w.value("self"), index], axis=w.axis("dim"))


def _flip(w: Writer) -> None:
    axes = w.axes("dims")
    ends, steps = [int(np.iinfo(np.int64).min)] * len(axes), [-1] * len(axes)
    rows = ([-1] * len(axes), ends, list(axes), steps)
    w.result("Slice", [w.value("self"), *(w.constant(row) for row in rows)])


def _roll(w: Writer) -> None:
    """The last elements first: two slices, joined the other way round."""
    w.require(bool(w.arg("dims")), "the flattened tensor")
    x = w.value("self")
    for shift, axis in zip(w.arg("shifts"), w.axes("dims"), strict=True):
        w.require(isinstance(shift, int), "a shift that depends on the run")
        by = shift % w.known_size(axis)
        if by:
            x = w.node("Concat", [_cut(w, x, axis, -by, LAST), _cut(w, x, axis, 0, -by)], axis=axis)
    w.results(x)


def _concat(w: Writer) -> None:
    """cat of tensors of several dtypes."""
    axis = int(w.arg("dim", 0)) % max(w.rank(w.graph.value(w.op.outputs[0])), 1)
    items = [item for item in w.arg("tensors") if w.record(item).shape != (0,)]
    w.result("Concat", [w.operand(item, w.dtype) for item in items], axis=axis)


def _split(w: Writer) -> None:
    """Parts of sizes that depend on the run, where their number does not."""
    axis, given = w.axis("dim", 0), w.first_of("split_size", "split_sizes")
    if isinstance(given, list | tuple):
        starts: list[Any] = [0]
        parts = []
        for size in given:
            w.require(isinstance(size, int), "a part whose size depends on the run")
            parts.append(_cut(w, w.value("self"), axis, starts[-1], starts[-1] + size))
            starts.append(starts[-1] + size)
        w.results(*parts)
        return
    w.require(isinstance(given, int), "a part whose size depends on the run")
    w.results(*(_cut(w, w.value("self"), axis, n * given, (n + 1) * given) for n in range(len(w.op.outputs))))


def _unfold(w: Writer) -> None:
    """Windows along one axis; their elements become the last one."""
    axis, size, step = w.axis("dimension"), int(w.arg("size")), int(w.arg("step"))
    count = (w.known_size(axis) - size) // step + 1
    places = np.arange(count)[:, None] * step + np.arange(size)
    found = w.node("Gather", [w.value("self"), w.constant(places)], axis=axis)
    rank = w.rank() + 1
    order = [index for index in range(rank) if index != axis + 1] + [axis + 1]
    w.result("Transpose", [found], perm=order)


def _pad(w: Writer) -> None:
    """Padding with numbers; negative amounts cut."""
    w.require(w.arg("mode", "constant") == "constant", f"{w.arg('mode')} padding")
    given, rank, x = w.arg("pad"), w.rank(), w.value("self")
    begins, ends = [0] * rank, [0] * rank
    for index in range(len(given) // 2):
        w.require(all(isinstance(n, int) for n in given), "padding that depends on the run")
        axis = rank - 1 - index
        begin, end = given[2 * index], given[2 * index + 1]
        if begin < 0 or end < 0:
            x = _cut(w, x, axis, max(-begin, 0), min(end, 0) or LAST)
        begins[axis], ends[axis] = max(begin, 0), max(end, 0)
    as_int = w.cast(x, "int64") if w.dtype == "bool" else x
    value = w.constant(w.arg("value", 0), w.graph.value(as_int).dtype)
    w.results(w.node("Pad", [as_int, w.constant([*begins, *ends]), value]))


def _permute(w: Writer) -> None:
    w.result("Transpose", [w.value("self")], perm=list(w.axes("dims")))


def _unsqueeze(w: Writer) -> None:
    w.result("Unsqueeze", [w.value("self"), w.constant([int(w.arg("dim")) % (w.rank() + 1)])])


def _diagonal(w: Writer) -> None:
    """Elements (i, i + offset) of two axes, as the last axis."""
    first, second = (w.axis(name, default) for name, default in (("dim1", 0), ("dim2", 1)))
    offset, rank = int(w.arg("offset", 0)), w.rank()
    rows, columns = w.known_size(first), w.known_size(second)
    at = np.arange(max(0, -offset), min(rows, columns - offset))
    order = [index for index in range(rank) if index not in (first, second)]
    lead = w.node("Transpose", [w.value("self")], perm=[first, second, *order])
    pairs = w.constant(np.stack([at, at + offset], 1))
    found = w.node("GatherND", [lead, pairs])
    w.result("Transpose", [found], perm=[*range(1, rank - 1), 0])


def _unbind(w: Writer) -> None:
    axis = w.axis("dim", 0)
    at = [w.node("Gather", [w.value("self"), w.constant(n)], axis=axis) for n in range(len(w.op.outputs))]
    w.results(*at)


def _scatter_slice(w: Writer) -> None:
    """slice_scatter: `src` in place of a slice."""
    axis, x, src = w.axis("dim", 0), w.value("self"), w.operand(w.arg("src"), w.dtype)
    begin, end, step = w.arg("start", 0), w.arg("end", LAST), int(w.arg("step", 1))
    if (begin, end, step) == (0, LAST, 1):
        w.results(src)
        return
    size = w.known_size(axis)
    w.require(isinstance(begin, int) and isinstance(end, int), "a slice that depends on the run")
    taken = range(size)[begin:end:step]
    _replaced(w, x, src, axis, list(taken))


def _scatter_select(w: Writer) -> None:
    """select_scatter: `src` in place of one element along an axis."""
    axis, index = w.axis("dim"), w.arg("index")
    w.require(isinstance(index, int), "an index that depends on the run")
    src = w.node("Unsqueeze", [w.operand(w.arg("src"), w.dtype), w.constant([axis])])
    _replaced(w, w.value("self"), src, axis, [index % w.known_size(axis)])


def _replaced(w: Writer, x: str, src: str, axis: int, taken: list[int]) -> None:
    """`x` with the positions `taken` of an axis from `src`: both joined, then gathered."""
    size = w.known_size(axis)
    places = np.arange(size)
    places[taken] = size + np.arange(len(taken))
    both = w.node("Concat", [x, src], axis=axis)
    w.result("Gather", [both, w.constant(places)], axis=axis)


def _stack(w: Writer) -> None:
    axis = int(w.arg("dim", 0)) % w.rank(w.graph.value(w.op.outputs[0]))
    items = [item for item in w.arg("tensors") if isinstance(item, Ref)]
    parts = [w.node("Unsqueeze", [w.operand(item, w.dtype), w.constant([axis])]) for item in items]
    w.result("Concat", parts, axis=axis)


FORMS: dict[str, Form] = {
    **dict.fromkeys(("view", "reshape", "_unsafe_view"), _reshape),
    "slice": _slice,
    "select": _select,
    "flip": _flip,
    "roll": _roll,
    **dict.fromkeys(("cat", "concat"), _concat),
    "stack": _stack,
    **dict.fromkeys(("split", "split_with_sizes"), _split),
    "unfold": _unfold,
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    "permute": _permute,
    "unsqueeze": _unsqueeze,
    "diagonal": _diagonal,
    "unbind": _unbind,
    "slice_scatter": _scatter_slice,
    "select_scatter": _scatter_select,
}

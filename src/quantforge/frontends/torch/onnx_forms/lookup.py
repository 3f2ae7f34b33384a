"""Looking up and putting in by positions: index, gather, scatter, the largest elements, sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from quantforge.frontends.torch.native import Ref
from quantforge.frontends.torch.onnx_forms.writer import Writer, is_float

Form = Callable[[Writer], None]


def _gather(w: Writer) -> None:
    """One position per element."""
    w.result("GatherElements", [w.value("self"), w.operand(w.arg("index"), "int64")], axis=w.axis("dim"))


def _take_along(w: Writer) -> None:
    w.result("Gather", [w.value("self"), w.operand(w.arg("index"), "int64")], axis=w.axis("dim"))


def _embedding(w: Writer) -> None:
    w.result("Gather", [w.value("weight"), w.operand(w.arg("indices"), "int64")], axis=0)


def _index(w: Writer) -> None:
    """x[:, i, j]: one tensor of positions gathers, several neighbouring ones gather by pairs."""
    given = list(w.arg("indices"))
    at = [axis for axis, item in enumerate(given) if item is not None]
    w.require(all(w.record(given[axis]).dtype != "bool" for axis in at), "a mask of booleans")
    if len(at) == 1:
        w.result("Gather", [w.value("self"), w.operand(given[at[0]], "int64")], axis=at[0])
        return
    order, back = _orders(w, at, given)
    x = w.node("Transpose", [w.value("self")], perm=order)
    found = w.node("GatherND", [x, _tuples(w, [given[axis] for axis in at])])
    w.result("Transpose", [found], perm=back)


def _orders(w: Writer, at: list[int], given: list[Any]) -> tuple[list[int], list[int]]:
    """The indexed axes in front; and where the axes of the result go when positions stand side by side."""
    rest = [axis for axis in range(w.rank()) if axis not in at]
    count = max(w.rank(w.record(given[axis])) for axis in at)  # axes of the positions
    found = count + len(rest)
    beside = at == list(range(at[0], at[-1] + 1))
    lead = at[0] if beside else 0
    places = list(range(count))
    others = list(range(count, found))
    return [*at, *rest], [*others[:lead], *places, *others[lead:]]


def _tuples(w: Writer, items: list[Any]) -> str:
    """Broadcast positions side by side along a new last axis."""
    names = [w.operand(item, "int64") for item in items]
    total = names[0]
    for name in names[1:]:
        total = w.node("Add", [total, name])
    shape = w.shape(total)
    parts = [w.node("Unsqueeze", [w.node("Expand", [name, shape]), w.constant([-1])]) for name in names]
    return w.node("Concat", parts, axis=-1)


def _index_put(w: Writer) -> None:
    """x[i, j] = values, or += when they accumulate; values broadcast."""
    given = list(w.arg("indices"))
    x, values = w.value("self"), w.operand(w.arg("values"), w.dtype)
    at = [axis for axis, item in enumerate(given) if item is not None]
    if len(at) == 1 and w.record(given[at[0]]).dtype == "bool":
        _masked_put(w, x, values, given[at[0]], at[0])
        return
    w.require(all(w.record(given[axis]).dtype != "bool" for axis in at), "masks of booleans")
    order, back = _orders(w, at, given)
    moved = w.node("Transpose", [x], perm=order)
    places = _tuples(w, [given[axis] for axis in at])
    replaced = w.node("Transpose", [w.node("GatherND", [moved, places])], perm=back)
    spread = w.node("Expand", [values, w.shape(replaced)])
    lead = w.node("Transpose", [spread], perm=[back.index(axis) for axis in range(len(back))])
    attrs = {"reduction": "add"} if w.arg("accumulate", False) else {}
    done = w.node("ScatterND", [moved, places, lead], **attrs)
    w.result("Transpose", [done], perm=[order.index(axis) for axis in range(len(order))])


def _spread(w: Writer) -> bool:
    """Whether the values are one number."""
    return all(size == 1 for size in w.record(w.arg("values")).shape or ())


def _masked_put(w: Writer, x: str, values: str, mask: Any, axis: int) -> None:
    w.require(_spread(w) and not w.arg("accumulate", False), "several values behind a mask")
    condition = w.operand(mask, "bool")
    after = w.rank() - axis - w.rank(w.record(mask))
    if after:
        rank = w.rank(w.record(mask))
        condition = w.node("Unsqueeze", [condition, w.constant(list(range(rank, rank + after)))])
    w.result("Where", [condition, values, x])


def _scatter(reduction: str | None = None) -> Form:
    """scatter of a tensor or a number, scatter_add, scatter_reduce."""

    def form(w: Writer) -> None:
        how = reduction or {
            "add": "add",
            "sum": "add",
            "multiply": "mul",
            "prod": "mul",
            "amax": "max",
            "amin": "min",
        }.get(str(w.arg("reduce", "")), "")
        w.require(bool(how) or w.arg("reduce") is None, f"reduce {w.arg('reduce')}")
        w.require(bool(w.arg("include_self", True)), "include_self=False")
        index = w.operand(w.arg("index"), "int64")
        source = w.first_of("src", "value")
        data = w.operand(source, w.dtype)
        shape = w.shape(index)
        if not isinstance(source, Ref):
            data = w.node("Expand", [data, shape])
        elif w.record(source).shape != w.record(w.arg("index")).shape:
            zeros = w.constant([0] * w.rank())
            data = w.node("Slice", [data, zeros, shape])
        attrs = {"reduction": how} if how else {}
        w.result("ScatterElements", [w.value("self"), index, data], axis=w.axis("dim"), **attrs)

    return form


def _top(w: Writer) -> None:
    count = w.arg("k")
    values, places = _ordered(w, w.sizes([count]), w.axis("dim", -1), bool(w.arg("largest", True)))
    w.results(values, places)


def _ordered(w: Writer, count: str, axis: int, largest: bool) -> list[str]:
    x = w.source.name
    if w.source.dtype == "bool":
        x = w.cast(x, "int64")
    dtype = w.graph.value(x).dtype
    return w.nodes("TopK", [x, count], [dtype, "int64"], axis=axis, largest=int(largest), sorted=1)


def _sort(w: Writer) -> None:
    """All elements as the largest ones; equal elements keep their order."""
    axis = w.axis("dim", -1)
    count = _whole(w, axis)
    values, places = _ordered(w, count, axis, bool(w.arg("descending", False)))
    if len(w.op.outputs) == 1 and w.dtype == "int64" and not w.source.dtype.startswith("int"):
        w.results(places)
    else:
        w.results(values, places)


def _whole(w: Writer, axis: int) -> str:
    shape = w.source.shape or ()
    size = shape[axis]
    if isinstance(size, int):
        return w.constant([size])
    return w.size_of(w.source.name, axis)


def _argsort(w: Writer) -> None:
    axis = w.axis("dim", -1)
    w.results(_ordered(w, _whole(w, axis), axis, bool(w.arg("descending", False)))[1])


def _extreme(op_type: str) -> Form:
    """max and min along an axis, with positions; without an axis the extreme of everything."""

    def form(w: Writer) -> None:
        reduce = op_type.replace("Arg", "Reduce")
        if w.arg("dim") is None:
            w.results(w.node(reduce, [_numbers(w)], keepdims=0))
            return
        axis, keep = w.axis("dim"), int(bool(w.arg("keepdim", False)))
        values = w.node(reduce, [_numbers(w)], axes=[axis], keepdims=keep)
        places = w.node(op_type, [_numbers(w)], "int64", axis=axis, keepdims=keep)
        w.results(values, places)

    return form


def _position(op_type: str) -> Form:
    """argmax and argmin; without an axis in the flattened tensor."""

    def form(w: Writer) -> None:
        x, keep = _numbers(w), int(bool(w.arg("keepdim", False)))
        if w.arg("dim") is not None:
            w.result(op_type, [x], axis=w.axis("dim"), keepdims=keep)
            return
        flat = w.node("Reshape", [x, w.constant([-1])])
        found = w.node(op_type, [flat], "int64", axis=0, keepdims=0)
        if keep:
            found = w.node("Reshape", [found, w.constant([1] * w.rank())])
        w.results(found)

    return form


def _numbers(w: Writer) -> str:
    dtype = w.source.dtype
    return w.source.name if is_float(dtype) or dtype in ("int64", "int32") else w.cast(w.source.name, "int64")


def _nonzero(w: Writer) -> None:
    w.result("Transpose", [w.node("NonZero", [w.source.name], "int64")], perm=[1, 0])


def _masked_scatter(w: Writer) -> None:
    """The elements of `source`, one after the other, where the mask is true."""
    mask = w.node("Expand", [w.operand(w.arg("mask"), "bool"), w.shape(w.value("self"))])
    flat = w.node("Reshape", [w.cast(mask, "int64"), w.constant([-1])])
    counted = w.node("CumSum", [flat, w.constant(0)])
    places = w.node("Max", [w.node("Sub", [counted, w.constant(1)]), w.constant(0)])
    taken = w.node(
        "Gather", [w.node("Reshape", [w.operand(w.arg("source"), w.dtype), w.constant([-1])]), places], axis=0
    )
    shaped = w.node("Reshape", [taken, w.shape(w.value("self"))])
    w.result("Where", [mask, shaped, w.value("self")])


def _searched(w: Writer) -> None:
    """bucketize and searchsorted in one row: how many boundaries lie below."""
    values, borders = w.first_of("self", "input"), w.first_of("boundaries", "sorted_sequence")
    if w.called == "searchsorted":
        values, borders = w.arg("self"), w.arg("sorted_sequence")
    w.require(w.rank(w.record(borders)) == 1, "boundaries in rows")
    dtype = w.common_dtype(values, borders)
    x = w.node("Unsqueeze", [w.operand(values, dtype), w.constant([-1])])
    compared = w.node(
        "LessOrEqual" if w.arg("right", False) else "Less", [w.operand(borders, dtype), x], "bool"
    )
    counts = w.node("ReduceSum", [w.cast(compared, "int64"), w.constant([-1])], keepdims=0)
    w.results(counts)


def _index_add(w: Writer) -> None:
    """Rows of `source` added at positions along an axis."""
    axis, rank = w.axis("dim"), w.rank()
    source = w.operand(w.arg("source"), w.dtype)
    if w.arg("alpha", 1) != 1:
        source = w.node("Mul", [source, w.constant(w.arg("alpha"), w.dtype)])
    index = w.operand(w.arg("index"), "int64")
    shape = [1] * rank
    shape[axis] = -1
    places = w.node("Expand", [w.node("Reshape", [index, w.constant(np.array(shape))]), w.shape(source)])
    attrs = {"reduction": "add"} if w.called == "index_add" else {}
    w.result("ScatterElements", [w.value("self"), places, source], axis=axis, **attrs)


FORMS: dict[str, Form] = {
    "gather": _gather,
    "index_select": _take_along,
    "embedding": _embedding,
    "index": _index,
    **dict.fromkeys(("index_put", "_unsafe_index_put"), _index_put),
    "_unsafe_index": _index,
    "scatter": _scatter(),
    "scatter_add": _scatter("add"),
    "scatter_reduce": _scatter(),
    "topk": _top,
    "sort": _sort,
    "argsort": _argsort,
    "max": _extreme("ArgMax"),
    "min": _extreme("ArgMin"),
    "argmax": _position("ArgMax"),
    "argmin": _position("ArgMin"),
    "nonzero": _nonzero,
    "masked_scatter": _masked_scatter,
    "bucketize": _searched,
    "searchsorted": _searched,
    "index_add": _index_add,
    "index_copy": _index_add,
}

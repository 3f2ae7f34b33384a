"""Rules for what moves data: the reshape family, slices, joins, padding, resizing, lookup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from quantforge.frontends.torch.native import dtype_name
from quantforge.frontends.torch.view import CASTS, CallView, Rule
from quantforge.graph import Attr, Dim

_LARGEST = 2**63 - 1


def identity(view: CallView) -> None:
    """clone, contiguous, detach, dropout in evaluation mode."""
    view.emit("identity", [view.value_of(view.node.args[0])])


def reshape(view: CallView) -> None:
    """view, reshape, flatten, unflatten: sizes as numbers, 0 for a size that stays, -1 for the rest."""
    source = view.node.args[0]
    emit_reshape(view, view.value_of(source), view.traced(source).shape)


def emit_reshape(view: CallView, value: str, before: Sequence[Any]) -> None:
    """The call's result is `value`, of sizes `before`, in the shape of the result."""
    after = view.result.shape
    shape: list[int] = []
    for axis, size in enumerate(after):
        if isinstance(size, int):
            shape.append(size)
        elif axis < len(before) and _same(size, before[axis]):
            shape.append(0)
        else:
            shape.append(-1)
    view.require(shape.count(-1) <= 1, "two sizes that are known only when running")
    view.require(all(not isinstance(size, int) or size > 0 for size in after), "an empty tensor")
    if len(shape) == 2 and shape[0] in (0, -1) and _same(after[0], before[0]) and len(before) > 1:
        view.emit("flatten", [value], axis=1)
        return
    view.emit("reshape", [value], shape=tuple(shape))


def _same(a: Any, b: Any) -> bool:
    first, second = (getattr(getattr(size, "node", None), "expr", size) for size in (a, b))
    return bool(first == second)


def transpose(view: CallView) -> None:
    """transpose, swapaxes and t."""
    rank = view.tensor("self").ndim
    first, second = (
        (view.axis("dim0", rank), view.axis("dim1", rank)) if view.has("dim0") else (0, min(rank - 1, 1))
    )
    order = list(range(rank))
    order[first], order[second] = second, first
    view.emit("transpose", [view.value("self")], order=tuple(order))


def permute(view: CallView) -> None:
    """permute."""
    rank = view.tensor("self").ndim
    view.emit("transpose", [view.value("self")], order=tuple(axis % rank for axis in view.ints("dims", 1)))


def squeeze(view: CallView) -> None:
    """squeeze, with or without axes; axes of other sizes than 1 stay."""
    shape, rank = view.shape("self"), view.tensor("self").ndim
    axes = tuple(axis for axis in view.axes("dim", rank) if shape[axis] == 1)
    if axes:
        view.emit("squeeze", [view.value("self")], axes=axes)
    else:
        view.emit("identity", [view.value("self")])


def unsqueeze(view: CallView) -> None:
    """unsqueeze."""
    view.emit("unsqueeze", [view.value("self")], axes=(view.axis("dim", view.tensor("self").ndim + 1),))


def strided_slice(view: CallView) -> None:
    """x[begin:end:step] along one axis."""
    rank = view.tensor("self").ndim
    axis, step = view.axis("dim", rank, 0), view.integer("step", 1)
    size = view.shape("self")[axis]
    if step == 1 and _same(view.result.shape[axis], view.tensor("self").shape[axis]):
        view.emit("identity", [view.value("self")])
        return
    begin, end = view.integer("start", 0), view.integer("end", _LARGEST)
    _slice(view, view.value("self"), axis, size, (begin, end, step))


def _slice(
    view: CallView, value: str, axis: int, size: Dim, limits: tuple[int, int, int], part: str = ""
) -> str:
    begin, end, step = limits
    if isinstance(size, int):
        begin, end, _ = slice(begin, end, step).indices(size)
    attrs: dict[str, Attr] = {"begin": (begin,), "end": (end,), "strides": (step,), "axes": (axis,)}
    return view.emit("strided-slice", [value], part, **attrs)


def select(view: CallView) -> None:
    """x[index] along one axis: a slice of one, without its axis."""
    rank = view.tensor("self").ndim
    axis, index = view.axis("dim", rank), view.integer("index")
    size = view.shape("self")[axis]
    if isinstance(size, int):
        index %= size
    end = index + 1 if index != -1 else _LARGEST
    one = _slice(view, view.value("self"), axis, size, (index, end, 1), "slice")
    view.emit("squeeze", [one], axes=(axis,))


def split(view: CallView) -> None:
    """split and chunk into parts of known sizes."""
    axis = view.axis("dim", view.tensor("self").ndim, 0)
    parts = view.node.meta["val"]
    sizes = tuple(int(part.shape[axis]) for part in parts if isinstance(part.shape[axis], int))
    view.require(len(sizes) == len(parts), "parts of unknown sizes")
    view.emit("split", [view.value("self")], axis=axis, sizes=sizes)


def concat(view: CallView) -> None:
    """cat."""
    items = [item for item in view.arg("tensors") if view.traced(item).shape != (0,)]
    axis = view.integer("dim", 0) % max(view.result.ndim, 1)
    parts = [view.operand(item, f"part{index}", broadcast=False) for index, item in enumerate(items)]
    view.emit("concat", parts, axis=axis)


def stack(view: CallView) -> None:
    """stack: a new axis in each, then concat."""
    axis = view.integer("dim", 0) % view.result.ndim
    items = [
        view.emit("unsqueeze", [view.operand(item, f"part{index}", False)], f"axis{index}", axes=(axis,))
        for index, item in enumerate(view.arg("tensors"))
    ]
    view.emit("concat", items, axis=axis)


def expand(view: CallView) -> None:
    """expand: 1 keeps a size."""
    before, after = view.tensor("self").shape, view.result.shape
    lead = len(after) - len(before)
    shape = []
    for axis, size in enumerate(after):
        keeps = axis >= lead and _same(size, before[axis - lead])
        view.require(keeps or isinstance(size, int), "a size that is known only when running")
        shape.append(1 if keeps else int(size))
    if lead == 0 and all(size == 1 for size in shape):
        view.emit("identity", [view.value("self")])
    else:
        view.emit("expand", [view.value("self")], shape=tuple(shape))


def repeat(view: CallView) -> None:
    """repeat; with more numbers than axes new axes come first."""
    repeats, value = view.ints("repeats", 1), view.value("self")
    extra = len(repeats) - view.tensor("self").ndim
    if extra:
        value = view.emit("unsqueeze", [value], "axes", axes=tuple(range(extra)))
    view.emit("tile", [value], repeats=repeats)


def flip(view: CallView) -> None:
    """flip: slices that step backwards."""
    axes = view.axes("dims", view.tensor("self").ndim)
    begin, end, strides = ((number,) * len(axes) for number in (-1, -_LARGEST, -1))
    view.emit("strided-slice", [view.value("self")], begin=begin, end=end, strides=strides, axes=axes)


def pad(view: CallView) -> None:
    """pad; torch names the last axis first."""
    given, rank = view.ints("pad", 1), view.tensor("self").ndim
    mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}.get(
        view.arg("mode", "constant")
    )
    view.require(mode is not None, "circular padding")
    begins, ends = [0] * rank, [0] * rank
    for index in range(len(given) // 2):
        begins[rank - 1 - index], ends[rank - 1 - index] = given[2 * index], given[2 * index + 1]
    view.require(min(*begins, *ends) >= 0, "negative padding")
    attrs: dict[str, Attr] = {"mode": str(mode), "pads": (*begins, *ends), "value": view.number("value", 0.0)}
    view.emit("pad", [view.value("self")], **attrs)


def border_pad(mode: str) -> Rule:
    """reflection_pad and replication_pad."""

    def rule(view: CallView) -> None:
        given, rank = view.ints("padding", 1), view.tensor("self").ndim
        begins, ends = [0] * rank, [0] * rank
        for index in range(len(given) // 2):
            begins[rank - 1 - index], ends[rank - 1 - index] = given[2 * index], given[2 * index + 1]
        view.require(min(*begins, *ends) >= 0, "negative padding")
        view.emit("pad", [view.value("self")], mode=mode, pads=(*begins, *ends), value=0.0)

    return rule


def upsample(mode: str) -> Rule:
    """upsample_nearest, upsample_bilinear and upsample_bicubic2d, as interpolate calls them."""

    def rule(view: CallView) -> None:
        name = "input" if view.has("input") else "self"
        before, after = view.tensor(name).shape[2:], view.result.shape[2:]
        given = view.arg("scale_factors")
        factors = (
            list(given)
            if given is not None
            else [view.arg(f"scales_{axis}") for axis in "dhw"[-len(before) :]]
        )
        scales: list[float] = []
        for old, new, factor in zip(before, after, factors, strict=True):
            if factor is None:
                view.require(isinstance(old, int) and isinstance(new, int), "sizes known only when running")
                factor = float(new) / float(old)
                view.require(math.floor(old * factor) == new, "a scale that floats cannot hold")
            scales.append(float(factor))
        attrs: dict[str, Attr] = {"mode": mode, "scales": (1.0, 1.0, *scales)}
        if mode == "nearest":
            attrs |= {"coordinate": "asymmetric", "nearest_mode": "floor"}
        else:
            attrs["coordinate"] = "align_corners" if view.arg("align_corners") else "half_pixel"
        view.emit("resize", [view.value(name)], **attrs)

    return rule


def pixel_shuffle(view: CallView) -> None:
    """pixel_shuffle: columns and rows of a block come from neighbouring channels."""
    view.require(view.tensor("self").ndim == 4, "a batch of images")
    view.emit("pixel-shuffle", [view.value("self")], scale=view.integer("upscale_factor"), mode="CRD")


def embedding(view: CallView) -> None:
    """embedding: rows of a table."""
    view.emit("gather", [view.value("weight"), view.value("indices")], axis=0)


def index_select(view: CallView) -> None:
    """index_select."""
    axis = view.axis("dim", view.tensor("self").ndim)
    view.emit("gather", [view.value("self"), view.value("index")], axis=axis)


def cast(view: CallView) -> None:
    """to another dtype; to the same one it does nothing."""
    source, target = view.traced(view.node.args[0]).dtype, view.result.dtype
    value = view.value_of(view.node.args[0])
    if source == target:
        view.emit("identity", [value])
        return
    view.require({dtype_name(source), dtype_name(target)} <= CASTS, f"a cast from {source} to {target}")
    view.emit("cast", [value], to=dtype_name(target))

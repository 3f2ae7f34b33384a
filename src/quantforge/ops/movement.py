"""Operators that only move data: reshape, transpose, slice, gather and the like.

Each has one NumPy function; the same function serves floats and integers, since no number changes. Integer
tensors pass with one scale for the whole tensor; a per-slice scale survives transpose only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from quantforge.graph import Array, Dim, Op, Shape, Value
from quantforge.ops.attributes import integer, ints, mismatch, present, text
from quantforge.ops.dims import broadcast, product, reshaped
from quantforge.ops.integer import IntTensor, Tensors
from quantforge.ops.layouts import layout_of
from quantforge.ops.opspec import OpSpec, Traits, TypedShape

Move = Callable[[Op, Array], Array]
MoveShape = Callable[[Op, Shape], Shape | None]


def _infer(shape_rule: MoveShape) -> Callable[[Op, Sequence[Value | None]], list[TypedShape]]:
    def infer(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
        x = present(op, inputs)
        return [(None if x.shape is None else shape_rule(op, x.shape), x.dtype)]

    return infer


def _float_kernel(move: Move) -> Callable[[Op, Sequence[Array | None]], list[Array]]:
    return lambda op, arrays: [move(op, present(op, arrays))]


def _integer_kernel(move: Move) -> Callable[[Op, Tensors], list[IntTensor] | None]:
    def compute(op: Op, tensors: Tensors) -> list[IntTensor] | None:
        x = tensors[0]
        if not isinstance(x, IntTensor) or x.axis is not None:
            return None
        return [x.with_data(move(op, x.data))]

    return compute


def reshape(op: Op, x: Array) -> Array:
    """To `shape`; 0 copies a size, -1 is computed."""
    shape = ints(op, "shape")
    wanted = [x.shape[i] if size == 0 and i < x.ndim else size for i, size in enumerate(shape)]
    if (-1 not in wanted and math.prod(wanted) != x.size) or (-1 in wanted and not _divides(wanted, x.size)):
        raise mismatch(op, f"{x.size} elements of shape {x.shape}", f"as many as {shape} holds")
    return x.reshape(wanted)


def _divides(wanted: Sequence[int], size: int) -> bool:
    rest = -math.prod(wanted)
    return size == 0 if rest == 0 else rest > 0 and size % rest == 0


def flatten_shape(op: Op, shape: Shape) -> Shape:
    """Two axes: the product before `axis`, the product from it on."""
    axis = _flatten_axis(op, len(shape))
    return _product_dim(shape[:axis]), _product_dim(shape[axis:])


def _flatten_axis(op: Op, rank: int) -> int:
    axis = integer(op, "axis", 1)
    return axis + rank if axis < 0 else axis


def _product_dim(dims: Shape) -> Dim:
    others = [dim for dim in dims if dim != 1]
    return others[0] if len(others) == 1 else product(dims)


def flatten(op: Op, x: Array) -> Array:
    """To two axes."""
    axis = _flatten_axis(op, x.ndim)
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def _squeezed_axes(op: Op, shape: Shape) -> tuple[int, ...]:
    axes = ints(op, "axes", tuple(i for i, dim in enumerate(shape) if dim == 1))
    return tuple(axis % len(shape) for axis in axes)


def squeeze_shape(op: Op, shape: Shape) -> Shape:
    """Without `axes`, or without all axes of size 1."""
    axes = _squeezed_axes(op, shape)
    return tuple(dim for i, dim in enumerate(shape) if i not in axes)


def squeeze(op: Op, x: Array) -> Array:
    """Without `axes`, or without all axes of size 1."""
    return np.squeeze(x, _squeezed_axes(op, x.shape))


def unsqueeze_shape(op: Op, shape: Shape) -> Shape:
    """With size 1 inserted at `axes` of the result."""
    rank = len(shape) + len(ints(op, "axes"))
    axes = {axis % rank for axis in ints(op, "axes")}
    rest = iter(shape)
    return tuple(1 if i in axes else next(rest) for i in range(rank))


def unsqueeze(op: Op, x: Array) -> Array:
    """With size 1 inserted at `axes` of the result."""
    return np.expand_dims(x, ints(op, "axes"))


def _order(op: Op, rank: int) -> tuple[int, ...]:
    return tuple(axis % rank for axis in ints(op, "order", tuple(reversed(range(rank)))))


def transpose(op: Op, x: Array) -> Array:
    """Axes in `order`; reversed when absent."""
    return x.transpose(_order(op, x.ndim))


def integer_transpose(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """As in float; a per-slice scale follows its axis."""
    x = tensors[0]
    if not isinstance(x, IntTensor):
        return None
    axis = None if x.axis is None else _order(op, x.data.ndim).index(x.axis)
    return [replace(x, data=transpose(op, x.data), axis=axis)]


def _slices(op: Op, rank: int) -> dict[int, slice]:
    begin, end = ints(op, "begin"), ints(op, "end")
    axes, strides = ints(op, "axes", tuple(range(len(begin)))), ints(op, "strides", (1,) * len(begin))
    return {a % rank: slice(b, e, s) for a, b, e, s in zip(axes, begin, end, strides, strict=True)}


def _clamped(cut: slice, size: int) -> slice:
    """ONNX Slice: ends beyond the data are clamped, negative ones count from the back once."""
    begin, end, step = cut.start, cut.stop, cut.step
    begin, end = (begin + size if begin < 0 else begin), (end + size if end < 0 else end)
    if step > 0:
        return slice(min(max(begin, 0), size), min(max(end, 0), size), step)
    stop = min(max(end, -1), size - 1)
    return slice(min(max(begin, 0), size - 1), None if stop == -1 else stop, step)


def slice_shape(op: Op, shape: Shape) -> Shape:
    """Sizes of the cut; a symbolic size survives a cut that takes all of it."""
    dims = list(shape)
    for axis, cut in _slices(op, len(shape)).items():
        size = dims[axis]
        if isinstance(size, int):
            dims[axis] = len(range(size)[_clamped(cut, size)])
        elif not (cut.start == 0 and cut.step == 1 and cut.stop >= 2**31 - 1):
            dims[axis] = None
    return tuple(dims)


def strided_slice(op: Op, x: Array) -> Array:
    """x[begin:end:strides] on `axes`."""
    cuts = _slices(op, x.ndim)
    return x[tuple(_clamped(cuts[i], size) if i in cuts else slice(None) for i, size in enumerate(x.shape))]


def expand_shape(op: Op, shape: Shape) -> Shape | None:
    """Broadcast with `shape`."""
    return broadcast(op.name, [shape, ints(op, "shape")])


def expand(op: Op, x: Array) -> Array:
    """Broadcast with `shape`, both ways."""
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, ints(op, "shape"))).copy()


def tile(op: Op, x: Array) -> Array:
    """Repeated along each axis."""
    return np.tile(x, ints(op, "repeats"))


def tile_shape(op: Op, shape: Shape) -> Shape:
    """Sizes times repeats."""
    pairs = zip(shape, ints(op, "repeats"), strict=True)
    return tuple(dim if by == 1 else dim * by if isinstance(dim, int) else None for dim, by in pairs)


def pixel_shuffle(op: Op, x: Array) -> Array:
    """Depth to space: [N, C s s, H, W] to [N, C, H s, W s], depth first in "DCR", channels first in "CRD"."""
    by, layout = integer(op, "scale"), layout_of(op, 2)
    batch, channels, height, width = (x.shape[layout.index(letter)] for letter in "NCHW")
    if channels % by**2:
        raise mismatch(op, f"{channels} channels", f"a multiple of {by**2}")
    x = x.transpose([layout.index(letter) for letter in "NCHW"])
    if text(op, "mode", "DCR", ("DCR", "CRD")) == "DCR":
        split = x.reshape(batch, by, by, channels // by**2, height, width).transpose(0, 3, 4, 1, 5, 2)
    else:
        split = x.reshape(batch, channels // by**2, by, by, height, width).transpose(0, 1, 4, 2, 5, 3)
    y = split.reshape(batch, channels // by**2, height * by, width * by)
    return y.transpose(["NCHW".index(letter) for letter in layout])


def space_to_depth(op: Op, x: Array) -> Array:
    """The inverse of "DCR" pixel shuffle: [N, C, H s, W s] to [N, s s C, H, W]."""
    by, layout = integer(op, "scale"), layout_of(op, 2)
    batch, channels, height, width = (x.shape[layout.index(letter)] for letter in "NCHW")
    if height % by or width % by:
        raise mismatch(op, f"{height} x {width} positions", f"multiples of {by}")
    x = x.transpose([layout.index(letter) for letter in "NCHW"])
    split = x.reshape(batch, channels, height // by, by, width // by, by).transpose(0, 3, 5, 1, 2, 4)
    y = split.reshape(batch, channels * by**2, height // by, width // by)
    return y.transpose(["NCHW".index(letter) for letter in layout])


def _shuffled_shape(op: Op, shape: Shape) -> Shape:
    by, layout = integer(op, "scale"), layout_of(op, 2)
    up = op.kind == "pixel-shuffle"
    dims = list(shape)
    for letter in layout.replace("N", ""):
        axis = layout.index(letter)
        factor, grows = (by**2, not up) if letter == "C" else (by, up)
        size = dims[axis]
        dims[axis] = None if not isinstance(size, int) else size * factor if grows else size // factor
    return tuple(dims)


def infer_gather(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """The gathered axis is replaced by the shape of the indices."""
    x, indices = present(op, inputs), present(op, inputs, 1)
    if x.shape is None or indices.shape is None:
        return [(None, x.dtype)]
    axis = integer(op, "axis", 0) % len(x.shape)
    return [((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)]


def compute_gather(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """x taken at the indices along `axis`; negative indices count from the end."""
    x, indices = present(op, arrays), present(op, arrays, 1)
    return [np.take(x, indices, axis=integer(op, "axis", 0))]


def integer_gather(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """As in float."""
    x, indices = tensors[0], tensors[1]
    if (
        not isinstance(x, IntTensor)
        or x.axis is not None
        or indices is None
        or isinstance(indices, IntTensor)
    ):
        return None
    return [x.with_data(np.take(x.data, indices, axis=integer(op, "axis", 0)))]


def split_sizes(op: Op, size: Dim) -> tuple[Dim, ...]:
    """`sizes`, or equal parts, the last one smaller when they do not divide."""
    if "sizes" in op.attrs:
        return ints(op, "sizes")
    parts = len(op.outputs)
    if not isinstance(size, int):
        return (None,) * parts
    each = -(-size // parts)
    return (*(each for _ in range(parts - 1)), size - each * (parts - 1))


def infer_split(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """One shape per part."""
    x = present(op, inputs)
    if x.shape is None:
        return [(None, x.dtype) for _ in op.outputs]
    axis = integer(op, "axis", 0) % len(x.shape)
    sizes = split_sizes(op, x.shape[axis])
    return [((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype) for size in sizes]


def split(op: Op, x: Array) -> list[Array]:
    """Consecutive parts along `axis`."""
    axis = integer(op, "axis", 0)
    sizes = [size for size in split_sizes(op, x.shape[axis]) if isinstance(size, int)]
    if sum(sizes) != x.shape[axis] or len(sizes) != len(op.outputs):
        raise mismatch(op, f"parts {tuple(sizes)} of {x.shape[axis]}", f"{len(op.outputs)} parts that add up")
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


def _compute_split(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    return split(op, present(op, arrays))


def _integer_split(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    x = tensors[0]
    if not isinstance(x, IntTensor) or x.axis is not None:
        return None
    return [x.with_data(part) for part in split(op, x.data)]


def _same(op: Op, x: Array) -> Array:
    return x


_MOVE = Traits("move")
_FUNCTIONS: dict[str, tuple[Callable[[Op, Shape], Shape | None], Move]] = {
    "identity": (lambda op, shape: shape, _same),
    "dropout": (lambda op, shape: shape, _same),
    "reshape": (lambda op, shape: reshaped(shape, ints(op, "shape")), reshape),
    "flatten": (flatten_shape, flatten),
    "squeeze": (squeeze_shape, squeeze),
    "unsqueeze": (unsqueeze_shape, unsqueeze),
    "strided-slice": (slice_shape, strided_slice),
    "expand": (expand_shape, expand),
    "tile": (tile_shape, tile),
    "pixel-shuffle": (_shuffled_shape, pixel_shuffle),
    "space-to-depth": (_shuffled_shape, space_to_depth),
}
_TRANSPOSE_SHAPE: MoveShape = lambda op, shape: tuple(shape[i] for i in _order(op, len(shape)))  # noqa: E731
SPECS = (
    *(
        OpSpec(kind, _MOVE, _infer(rule), _float_kernel(move), _integer_kernel(move))
        for kind, (rule, move) in _FUNCTIONS.items()
    ),
    OpSpec("transpose", _MOVE, _infer(_TRANSPOSE_SHAPE), _float_kernel(transpose), integer_transpose),
    OpSpec("gather", _MOVE, infer_gather, compute_gather, integer_gather),
    OpSpec("split", _MOVE, infer_split, _compute_split, _integer_split),
)

"""Output shapes of operators that move elements: joins, slices, pads, reshapes, blocks and sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

from quantforge.xmodel.catalogue import setting
from quantforge.xmodel.model import XOp
from quantforge.xmodel.window_shapes import Shape, axis_of, misfit, whole

# A scale is stored as a 32-bit float: a size this close below a whole number, relatively, means that number.
_SCALE_SLACK = 1e-5


def concat_shape(op: XOp, shapes: Sequence[Shape]) -> Shape:
    """The sizes of all inputs added up along the axis.

    Raises:
        InputError: Q0912 when another axis differs; so do all functions here, where shapes do not fit.
    """
    first, axis = shapes[0], axis_of(op, setting(op, "axis"), len(shapes[0]))
    for shape in shapes[1:]:
        if shape[:axis] != first[:axis] or shape[axis + 1 :] != first[axis + 1 :] or len(shape) != len(first):
            raise misfit(op, f"inputs {list(first)} and {list(shape)}", f"equal sizes but for axis {axis}")
    return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])


def stack_shape(op: XOp, shapes: Sequence[Shape]) -> Shape:
    """A new axis of as many elements as there are inputs; scalars, which are stored as [1], give a list."""
    first = shapes[0]
    if any(shape != first for shape in shapes):
        raise misfit(op, f"inputs {', '.join(str(list(shape)) for shape in shapes)}", "equal shapes")
    if first == (1,) and setting(op, "axis") in (0, -1):
        return (len(shapes),)
    axis = axis_of(op, setting(op, "axis"), len(first) + 1)
    return (*first[:axis], len(shapes), *first[axis:])


def squeeze_shape(op: XOp, shape: Shape) -> Shape:
    """Without the axes named, or without all axes of size 1."""
    axes = {axis_of(op, axis, len(shape)) for axis in setting(op, "axis")} or {
        i for i, n in enumerate(shape) if n == 1
    }
    if any(shape[axis] != 1 for axis in axes):
        raise misfit(op, f"axes {sorted(axes)} of {list(shape)}", "axes of size 1")
    return tuple(size for i, size in enumerate(shape) if i not in axes) or (1,)


def reshape_shape(op: XOp, shape: Shape, wanted: Sequence[int]) -> Shape:
    """The sizes wanted, in which 0 copies a size of the input and -1 is computed.

    >>> from quantforge.xmodel.model import Tensor
    >>> reshape_shape(XOp("y", "reshape", Tensor("y", (1,))), (2, 3, 4), (0, -1))
    (2, 12)
    """
    sizes = [shape[i] if size == 0 and i < len(shape) else size for i, size in enumerate(wanted)]
    others = math.prod(size for size in sizes if size != -1)
    total = math.prod(shape)
    if sizes.count(-1) == 1 and others > 0:
        sizes[sizes.index(-1)] = total // others
    if math.prod(sizes) != total or min(sizes, default=1) < 1:
        raise misfit(op, f"{list(shape)} as {list(wanted)}", f"a shape of {total} elements")
    return tuple(sizes) or (1,)


def slice_shape(op: XOp, shape: Shape) -> Shape | None:
    """The elements from begin to end in steps, after the bits of the masks; None with masks that add axes."""
    if whole(op, "ellipsis_mask") or whole(op, "new_axis_mask"):
        return None
    begin, end, steps = (setting(op, name) for name in ("begin", "end", "strides"))
    if not len(begin) == len(end) == len(steps) <= len(shape) or 0 in steps:
        raise misfit(
            op, f"{len(begin)} begins, {len(end)} ends, steps {list(steps)}", f"up to {len(shape)} each"
        )
    masks = [whole(op, f"{name}_mask") or 0 for name in ("begin", "end", "shrink_axis")]
    sizes: list[int] = []
    for axis, size in enumerate(shape):
        if axis >= len(begin):
            sizes.append(size)
            continue
        free_begin, free_end, shrink = ((mask >> axis) & 1 for mask in masks)
        if shrink:
            continue
        bounds = slice(None if free_begin else begin[axis], None if free_end else end[axis], steps[axis])
        sizes.append(len(range(*bounds.indices(size))))
    if min(sizes, default=1) < 1:
        raise misfit(op, f"an empty slice of {list(shape)}", "at least one element on each axis")
    return tuple(sizes) or (1,)


def pad_shape(op: XOp, shape: Shape) -> Shape:
    """Each size with what is put before and after it."""
    pads = setting(op, "paddings")
    if len(pads) != 2 * len(shape):
        raise misfit(op, f"{len(pads)} paddings", f"{2 * len(shape)} for {len(shape)} axes")
    sizes = tuple(size + pads[2 * i] + pads[2 * i + 1] for i, size in enumerate(shape))
    if min(sizes) < 1:
        raise misfit(op, f"an output {list(sizes)}", "sizes of 1 or more")
    return sizes


def sampled_shape(op: XOp, shape: Shape, size: Sequence[int] | None) -> Shape:
    """The spatial axes as `size` says, (h, w[, d]), or times the attribute scale, (w, h[, d])."""
    space = shape[1:-1]
    if len(space) != (3 if setting(op, "mode") == "TRILINEAR" else 2):
        raise misfit(op, f"mode {setting(op, 'mode')} on {list(shape)}", "4 axes, with TRILINEAR 5")
    if size is None:
        scale = setting(op, "scale")
        if len(scale) != len(space):
            raise misfit(op, f"{len(scale)} scales", f"{len(space)}, or a size")
        by_axis = [scale[1], scale[0], *scale[2:]]
        size = [_scaled(n, factor) for n, factor in zip(space, by_axis, strict=True)]
    if len(size) != len(space) or min(size) < 1:
        raise misfit(op, f"the output size {list(size)}", f"{len(space)} sizes of 1 or more")
    return (shape[0], *size, shape[-1])


def block_shape(op: XOp, shape: Shape) -> Shape | None:
    """Blocks of pixels to channels, or back: reorg, tile and pixel-shuffle in either direction."""
    block = setting(op, "stride" if op.kind in ("gstiling", "tile-fix") else "scale")
    to_pixels = whole(op, "upscale" if op.kind.startswith("pixel-shuffle") else "reverse")
    if to_pixels is None:
        return None
    if len(shape) != 4 or block < 1:
        raise misfit(op, f"blocks of {block} of {list(shape)}", "4 axes, and blocks of 1 or more")
    batch, height, width, channels = shape
    if to_pixels:
        if channels % (block * block):
            raise misfit(op, f"{channels} channels", f"a multiple of {block * block}")
        return batch, height * block, width * block, channels // (block * block)
    if height % block or width % block:
        raise misfit(op, f"{height} x {width} pixels", f"multiples of {block}")
    return batch, height // block, width // block, channels * block * block


def _scaled(size: int, factor: float) -> int:
    if not math.isfinite(factor):
        return 0
    return math.floor(size * factor * (1 + _SCALE_SLACK))

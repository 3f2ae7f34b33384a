"""Operators that copy: concat, reshape, pad, slice, space to depth and its variants; and the two that pick.

No number changes, so all tensors of one operator share a fix point; a maximum is requantized to its output's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.runtime.fixed import Array, Int64Array, fixed_of, same_position
from quantforge.xmodel.model import XOp

Arrays = dict[str, list[Array]]
Read = Callable[[str], XOp]


def copy(op: XOp, arrays: Arrays, read: Read) -> Array:
    """upload, download."""
    same_position(op, read)
    return arrays["input"][0]


def concat(op: XOp, arrays: Arrays, read: Read) -> Array:
    """concat-fix along `axis`."""
    same_position(op, read)
    return np.concatenate(arrays["input"], axis=int(op.get("axis", -1)))


def reshape(op: XOp, arrays: Arrays, read: Read) -> Array:
    """reshape-fix: to the shape of the output tensor, per sample; larger batches stay in front."""
    same_position(op, read)
    x = arrays["input"][0]
    shape = op.tensor.shape
    batches, left = divmod(x.size, int(np.prod(shape)))
    if left or not batches:
        raise InputError(
            "Q1203",
            op.name,
            f"a tensor of shape {list(x.shape)}",
            f"{list(shape)}",
            "compile the model again",
        )
    return x.reshape(shape[0] * batches, *shape[1:])


def pad(op: XOp, arrays: Arrays, read: Read) -> Array:
    """pad-fix: CONSTANT (0 unless `constant_values` says otherwise), REFLECT, SYMMETRIC (mirrors the edge too)."""
    same_position(op, read)
    x, pairs = arrays["input"][0], pad_pairs(op)
    mode = str(op.get("mode", "CONSTANT")).upper()
    if mode == "CONSTANT":
        return np.pad(x, pairs, constant_values=pad_value(op))
    if mode not in ("REFLECT", "SYMMETRIC"):
        raise wrong(op, f"mode {mode!r}", "CONSTANT, REFLECT or SYMMETRIC")
    return np.pad(x, pairs, mode="reflect" if mode == "REFLECT" else "symmetric")


def pad_pairs(op: XOp) -> list[tuple[int, int]]:
    """(before, after) of every axis."""
    paddings = tuple(op.get("paddings", ()))
    if len(paddings) != 2 * len(op.tensor.shape):
        raise wrong(op, f"paddings {paddings}", f"{2 * len(op.tensor.shape)} numbers")
    return list(zip(paddings[0::2], paddings[1::2], strict=True))


def pad_value(op: XOp) -> int:
    """The integer that a constant padding is filled with."""
    raw = op.get("constant_values", b"")
    return int(np.frombuffer(raw, np.int8)[0]) if isinstance(raw, bytes) and raw else 0


def strided_slice(op: XOp, arrays: Arrays, read: Read) -> Array:
    """strided_slice-fix."""
    same_position(op, read)
    return arrays["input"][0][slices(op, arrays["input"][0].shape)]


def slices(op: XOp, shape: Sequence[int]) -> tuple[slice, ...]:
    """begin : end : strides per axis; a bit in begin_mask or end_mask means from the edge on.

    The first axis counts the samples of a batch and is never cut.
    """
    begin, end = tuple(op.get("begin", ())), tuple(op.get("end", ()))
    strides = tuple(op.get("strides", (1,) * len(begin)))
    if not len(begin) == len(end) == len(strides) <= len(shape) or 0 in strides:
        raise wrong(op, f"begin {begin}, end {end}, strides {strides}", "one of each per axis")
    begin_mask, end_mask = int(op.get("begin_mask", 0)), int(op.get("end_mask", 0))
    cuts = []
    for axis, (b, e, s) in enumerate(zip(begin, end, strides, strict=True)):
        whole = axis == 0 and s == 1 and b == 0
        stop = None if whole or end_mask >> axis & 1 or (s < 0 and e < -shape[axis]) else e
        cuts.append(slice(None if whole or begin_mask >> axis & 1 else b, stop, s))
    return tuple(cuts)


def tile(op: XOp, arrays: Arrays, read: Read) -> Array:
    """tile-fix: space to depth with block `stride`, depth to space when `reverse`."""
    same_position(op, read)
    x, s = arrays["input"][0], block_size(op, "stride")
    if op.get("reverse", False):
        return depth_to_space(op, x, s)
    return space_to_depth(op, x, s)


def space_to_depth(op: XOp, x: Array, s: int) -> Array:
    """Each s x s block becomes one pixel; rows of the block, then columns, then channels."""
    n, h, w, c = image_sizes(op, x.shape)
    check_divides(op, (h, w), s)
    blocks = x.reshape(n, h // s, s, w // s, s, c).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, h // s, w // s, s * s * c)


def depth_to_space(op: XOp, x: Array, s: int) -> Array:
    """The inverse of `space_to_depth`."""
    n, h, w, c = image_sizes(op, x.shape)
    check_divides(op, (c,), s * s)
    blocks = x.reshape(n, h, w, s, s, c // (s * s)).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, h * s, w * s, c // (s * s))


def reorg(op: XOp, arrays: Arrays, read: Read) -> Array:
    """reorg-fix: out[oh, ow] joins, for i < s, the s pixels at row oh % s + (oh div s) s^2 + i s, columns ow s ...

    Rows whose block is cut off by the height are not defined: the height is a multiple of s^2, or of s at least
    when the whole image is one such block.
    """
    same_position(op, read)
    return reorganized(op, arrays["input"][0])


def reorganized(op: XOp, x: Array) -> Array:
    """The move of reorg on elements of any type."""
    s = block_size(op, "scale")
    n, h, w, c = image_sizes(op, x.shape)
    if op.get("reverse", False):
        check_divides(op, (c,), s * s)
        rows = reorg_rows(op, h * s, s)
        out = np.zeros((n, h * s, w * s, c // (s * s)), x.dtype)
        pieces = x.reshape(n, h, w, s, s, c // (s * s)).transpose(0, 1, 3, 2, 4, 5)
        out[:, rows] = pieces.reshape(n, h, s, w * s, c // (s * s))
        return out
    check_divides(op, (h, w), s)
    picked = x[:, reorg_rows(op, h, s)].reshape(n, h // s, s, w // s, s, c)
    return picked.transpose(0, 1, 3, 2, 4, 5).reshape(n, h // s, w // s, s * s * c)


def reorg_rows(op: XOp, height: int, s: int) -> Int64Array:
    """Source row of (output row, i): [height // s, s].

    Raises:
        InputError: Q1203 where the pattern leaves the image.
    """
    out = np.arange(height // s)[:, np.newaxis]
    rows = out % s + out // s * s * s + np.arange(s) * s
    if height % s or rows.max() >= height:
        raise wrong(op, f"{height} rows in blocks of {s}", f"a multiple of {s * s} rows")
    return rows


def pixel_shuffle(op: XOp, arrays: Arrays, read: Read) -> Array:
    """pixel-shuffle-fix: as in PyTorch, channel c s^2 + i s + j goes to pixel (h s + i, w s + j) of channel c.

    Channels become pixels when `upscale` (or, where that is absent, `reverse`) is set.
    """
    same_position(op, read)
    return shuffled(op, arrays["input"][0])


def shuffled(op: XOp, x: Array) -> Array:
    """The move of pixel-shuffle on elements of any type."""
    s = block_size(op, "scale")
    n, h, w, c = image_sizes(op, x.shape)
    if op.get("upscale", op.get("reverse", True)):
        check_divides(op, (c,), s * s)
        pieces = x.reshape(n, h, w, c // (s * s), s, s).transpose(0, 1, 4, 2, 5, 3)
        return pieces.reshape(n, h * s, w * s, c // (s * s))
    check_divides(op, (h, w), s)
    pieces = x.reshape(n, h // s, s, w // s, s, c).transpose(0, 1, 3, 5, 2, 4)
    return pieces.reshape(n, h // s, w // s, c * s * s)


def reduce_max(op: XOp, arrays: Arrays, read: Read) -> Int64Array:
    """reduction_max-fix over `axis`."""
    x = arrays["input"][0].astype(np.int64)
    source = fixed_of(read(op.args["input"][0]))
    axes = tuple(int(a) % x.ndim for a in op.get("axis", ()))
    largest = x.max(axis=axes, keepdims=bool(op.get("keep_dims", False)))
    return fixed_of(op).requantize(np.asarray(largest), source.position)


def argmax(op: XOp, arrays: Arrays, read: Read) -> Int64Array:
    """argmax-fix: index of the first largest element along `axis`, which becomes 1 long."""
    return np.asarray(np.argmax(arrays["input"][0], axis=int(op.get("axis", -1)), keepdims=True), np.int64)


def image_sizes(op: XOp, shape: Sequence[int]) -> tuple[int, int, int, int]:
    """(N, H, W, C) of an image; any other rank is refused."""
    if len(shape) != 4:
        raise wrong(op, f"a tensor of shape {list(shape)}", "an image [N, H, W, C]")
    n, h, w, c = shape
    return n, h, w, c


def block_size(op: XOp, name: str) -> int:
    """A positive attribute."""
    size = op.get(name)
    if not isinstance(size, int) or size < 1:
        raise wrong(op, f"{name}={size!r}", "a positive block size")
    return size


def check_divides(op: XOp, sizes: Sequence[int], block: int) -> None:
    """Refuse sizes that are no multiples of `block`."""
    if any(size % block for size in sizes):
        raise wrong(op, f"sizes {tuple(sizes)}", f"multiples of {block}")


def wrong(op: XOp, found: str, expected: str) -> InputError:
    """The error for attributes that make no sense."""
    return InputError("Q1203", op.name, f"{op.kind} with {found}", expected, "compile the model again")

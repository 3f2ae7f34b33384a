"""Operators that copy: shapes, order of axes, slices, joins; and the moves between channels and space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.runtime.fixed import Array
from quantforge.runtime.kernels import movement as fixed
from quantforge.xmodel.model import XOp

Arrays = dict[str, list[Array]]
Kernel = Callable[[XOp, Arrays], Array]


def identity(op: XOp, arrays: Arrays) -> Array:
    """The same array."""
    return arrays["input"][0]


def reshape(op: XOp, arrays: Arrays) -> Array:
    """reshape, squeeze and flatten: to the shape of the output tensor; more samples stay in front.

    Raises:
        InputError: Q1203 when the sizes do not go together.
    """
    x, shape = arrays["input"][0], op.tensor.shape
    batches, left = divmod(x.size, int(np.prod(shape)))
    if left or not batches:
        raise InputError(
            "Q1203", op.name, f"a tensor of shape {list(x.shape)}", f"{list(shape)}", "compile again"
        )
    return x.reshape(shape[0] * batches, *shape[1:])


def transpose(op: XOp, arrays: Arrays) -> Array:
    """Axes in the order `order`."""
    return np.ascontiguousarray(arrays["input"][0].transpose(op.get("order")))


def concat(op: XOp, arrays: Arrays) -> Array:
    """Joined along `axis`."""
    return np.concatenate(arrays["input"], axis=int(op.get("axis", -1)))


def stack(op: XOp, arrays: Arrays) -> Array:
    """Joined along a new axis."""
    return np.stack(arrays["input"], axis=int(op.get("axis", 0)))


def strided_slice(op: XOp, arrays: Arrays) -> Array:
    """begin : end : strides per axis."""
    return arrays["input"][0][fixed.slices(op, arrays["input"][0].shape)]


def select(op: XOp, arrays: Arrays) -> Array:
    """Element `index` of axis `dim`, which goes."""
    return np.asarray(arrays["input"][0].take(int(op.get("index", 0)), axis=int(op.get("dim", 0))))


def pad(op: XOp, arrays: Arrays) -> Array:
    """CONSTANT with `constant_values`, REFLECT or SYMMETRIC."""
    x, pairs = arrays["input"][0], fixed.pad_pairs(op)
    mode = str(op.get("mode", "CONSTANT")).upper()
    if mode == "CONSTANT":
        values = tuple(op.get("constant_values", ()) or (0.0,))
        if len(values) != 2 * x.ndim:
            return np.pad(x, pairs, constant_values=values[0])
        sides = list(zip(values[0::2], values[1::2], strict=True))
        return np.pad(x, pairs, constant_values=sides)
    if mode not in ("REFLECT", "SYMMETRIC"):
        raise InputError(
            "Q1203", op.name, f"mode {mode!r}", "CONSTANT, REFLECT or SYMMETRIC", "compile again"
        )
    return np.pad(x, pairs, mode="reflect" if mode == "REFLECT" else "symmetric")


def gstiling(op: XOp, arrays: Arrays) -> Array:
    """Space to depth by `stride`, or back with `reverse`."""
    move = fixed.depth_to_space if op.get("reverse", False) else fixed.space_to_depth
    return move(op, arrays["input"][0], int(op.get("stride", 1)))


def pixel_shuffle(op: XOp, arrays: Arrays) -> Array:
    """As in PyTorch; `upscale` says which way."""
    return fixed.shuffled(op, arrays["input"][0])


def reorg(op: XOp, arrays: Arrays) -> Array:
    """Darknet's variant of space to depth."""
    return fixed.reorganized(op, arrays["input"][0])


def channel_shuffle(op: XOp, arrays: Arrays) -> Array:
    """nn_channel_shuffle: the last axis as [groups, n], transposed."""
    x, groups = arrays["input"][0], int(op.get("groups", 1))
    return x.reshape(*x.shape[:-1], groups, -1).swapaxes(-1, -2).reshape(x.shape)


def shape(op: XOp, arrays: Arrays) -> Array:
    """The sizes of the input, as integers."""
    return np.asarray(arrays["input"][0].shape, op.tensor.dtype.numpy or np.int32)


KERNELS: dict[str, Kernel] = {
    **dict.fromkeys(("identity", "upload", "download", "placeholder"), identity),
    **dict.fromkeys(("reshape", "squeeze", "flatten"), reshape),
    "transpose": transpose,
    "concat": concat,
    "stack": stack,
    "strided_slice": strided_slice,
    "select": select,
    "pad": pad,
    "gstiling": gstiling,
    "pixel-shuffle": pixel_shuffle,
    "reorg": reorg,
    "nn_channel_shuffle": channel_shuffle,
    "shape": shape,
}

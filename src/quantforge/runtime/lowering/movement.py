"""Copying operators on bytes: the same steps as the reference kernels, as ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantforge.diagnostics import InputError, UnsupportedError
from quantforge.runtime.fixed import same_position
from quantforge.runtime.kernels.movement import (
    block_size,
    check_divides,
    image_sizes,
    pad_pairs,
    pad_value,
    reorg_rows,
    slices,
    wrong,
)
from quantforge.runtime.lowering.builder import Held, Lowering
from quantforge.runtime.lowering.finish import requantized
from quantforge.xmodel.model import XOp


def lower_copy(low: Lowering, op: XOp) -> Held | None:
    """upload, download: nothing to do."""
    source = op.args["input"][0]
    if source in low.extra:
        low.extra[op.name] = low.extra[source]
        return None
    same_position(op, low.program.read)
    return low.hold(op, low.input(op).name)


def lower_concat(low: Lowering, op: XOp) -> Held:
    """concat-fix."""
    same_position(op, low.program.read)
    names = [low.input(op, i).name for i in range(len(op.args["input"]))]
    axis = int(op.get("axis", -1))
    return low.hold(op, low.builder.node("Concat", names, axis=axis))


def lower_reshape(low: Lowering, op: XOp) -> Held:
    """reshape-fix."""
    same_position(op, low.program.read)
    x, shape = low.input(op), op.tensor.shape
    if np.prod(x.shape) != np.prod(shape):
        raise InputError(
            "Q1203", op.name, f"a tensor of shape {list(x.shape)}", f"{list(shape)}", "compile again"
        )
    return low.hold(op, low.builder.reshape(x.name, (-1, *shape[1:])))


def lower_pad(low: Lowering, op: XOp) -> Held:
    """pad-fix: bytes of a constant, or gathered from the mirrored places."""
    same_position(op, low.program.read)
    x, pairs = low.input(op), pad_pairs(op)
    mode = str(op.get("mode", "CONSTANT")).upper()
    if mode == "CONSTANT":
        return low.hold(op, low.builder.pad(x.name, pairs, (pad_value(op) + x.zero) % 256))
    if mode not in ("REFLECT", "SYMMETRIC"):
        raise wrong(op, f"mode {mode!r}", "CONSTANT, REFLECT or SYMMETRIC")
    name = x.name
    for axis, pair in enumerate(pairs):
        if any(pair):
            index = np.pad(
                np.arange(x.shape[axis]), pair, mode="reflect" if mode == "REFLECT" else "symmetric"
            )
            name = low.builder.node("Gather", [name, low.builder.constant(index, "int64")], axis=axis)
    return low.hold(op, name)


def lower_slice(low: Lowering, op: XOp) -> Held:
    """strided_slice-fix."""
    same_position(op, low.program.read)
    x = low.input(op)
    cuts = {axis: cut for axis, cut in enumerate(slices(op, x.shape)) if cut != slice(None, None, 1)}
    name = low.builder.crop(x.name, cuts) if cuts else x.name
    return low.hold(op, name)


def lower_tile(low: Lowering, op: XOp) -> Held:
    """tile-fix."""
    same_position(op, low.program.read)
    x, s = low.input(op), block_size(op, "stride")
    to_space = bool(op.get("reverse", False))
    return low.hold(op, _from_depth(low, op, x, s) if to_space else _to_depth(low, op, x, s))


def lower_reorg(low: Lowering, op: XOp) -> Held:
    """reorg-fix: tile-fix on rows in another order."""
    same_position(op, low.program.read)
    x, s = low.input(op), block_size(op, "scale")
    if op.get("reverse", False):
        name = _from_depth(low, op, x, s)
        rows = np.argsort(reorg_rows(op, x.shape[1] * s, s).reshape(-1))
        return low.hold(op, low.builder.node("Gather", [name, low.builder.constant(rows, "int64")], axis=1))
    rows = reorg_rows(op, x.shape[1], s).reshape(-1)
    name = low.builder.node("Gather", [x.name, low.builder.constant(rows, "int64")], axis=1)
    return low.hold(op, _to_depth(low, op, Held(name, x.fixed, x.shape), s))


def lower_pixel_shuffle(low: Lowering, op: XOp) -> Held:
    """pixel-shuffle-fix."""
    same_position(op, low.program.read)
    x, s = low.input(op), block_size(op, "scale")
    _, h, w, c = image_sizes(op, x.shape)
    if op.get("upscale", op.get("reverse", True)):
        check_divides(op, (c,), s * s)
        split, perm = (-1, h, w, c // (s * s), s, s), (0, 1, 4, 2, 5, 3)
        out: tuple[int, ...] = (-1, h * s, w * s, c // (s * s))
    else:
        check_divides(op, (h, w), s)
        split, perm = (-1, h // s, s, w // s, s, c), (0, 1, 3, 5, 2, 4)
        out = (-1, h // s, w // s, c * s * s)
    return low.hold(op, _shuffle(low, x.name, split, perm, out))


def lower_reduce_max(low: Lowering, op: XOp) -> Held:
    """reduction_max-fix."""
    x = low.input(op)
    axes = sorted(int(a) % len(x.shape) for a in op.get("axis", ()))
    name = low.builder.node("ReduceMax", [x.name], axes=axes, keepdims=int(bool(op.get("keep_dims", False))))
    return requantized(low, op, Held(name, x.fixed, op.tensor.shape))


def lower_argmax(low: Lowering, op: XOp) -> None:
    """argmax-fix: an index in the type of the output tensor, which nothing on the DPU reads."""
    x = low.input(op)
    dtype = op.tensor.dtype.numpy
    name = low.builder.node("ArgMax", [x.name], axis=int(op.get("axis", -1)), keepdims=1)
    if dtype is None or dtype.kind not in "iu":
        raise UnsupportedError("Q1202", op.name, f"indices as {op.tensor.dtype}", "integers", "compile again")
    low.extra[op.name] = name


def _to_depth(low: Lowering, op: XOp, x: Held, s: int) -> str:
    _, h, w, c = image_sizes(op, x.shape)
    check_divides(op, (h, w), s)
    split, perm = (-1, h // s, s, w // s, s, c), (0, 1, 3, 2, 4, 5)
    return _shuffle(low, x.name, split, perm, (-1, h // s, w // s, s * s * c))


def _from_depth(low: Lowering, op: XOp, x: Held, s: int) -> str:
    _, h, w, c = image_sizes(op, x.shape)
    check_divides(op, (c,), s * s)
    split, perm = (-1, h, w, s, s, c // (s * s)), (0, 1, 3, 2, 4, 5)
    return _shuffle(low, x.name, split, perm, (-1, h * s, w * s, c // (s * s)))


def _shuffle(low: Lowering, name: str, split: Sequence[int], perm: Sequence[int], out: Sequence[int]) -> str:
    parts = low.builder.node("Transpose", [low.builder.reshape(name, split)], perm=tuple(perm))
    return low.builder.reshape(parts, out)

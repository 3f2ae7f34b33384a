"""Resizing by nearest neighbour, linear or cubic interpolation, axis by axis (ONNX Resize).

Each axis is a matrix [out, in] of weights around the source coordinate of every output:

    half_pixel (o + 0.5) / scale - 0.5 · pytorch_half_pixel the same, 0 for a single output
    asymmetric o / scale · align_corners o (in - 1) / (out - 1)

Coordinates are computed in float32, as ONNX Runtime does, so that ties fall alike. `scales` or `sizes` have one
entry per axis, or one per spatial axis; the batch is never resized. Integer: nearest copies; interpolation is
exact when all weights are multiples of 2**-12 (doubling, halving).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quantforge.graph import Array, Dim, Op, Value
from quantforge.ops.attributes import flag, floats, ints, mismatch, number, present, text
from quantforge.ops.integer import SAFE, Float64Array, IntTensor, Tensors
from quantforge.ops.opspec import OpSpec, Traits, TypedShape

COORDINATES = ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
WEIGHT_BITS = 12


def infer(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """`sizes`, or floor(size * scale)."""
    x = present(op, inputs)
    if x.shape is None:
        return [(None, x.dtype)]
    plan = _plan(op, len(x.shape))
    dims = [dim if axis not in plan else _out_size(dim, *plan[axis]) for axis, dim in enumerate(x.shape)]
    return [(tuple(dims), x.dtype)]


def compute(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Sums of weights times samples in float64, rounded once; nearest copies."""
    x = present(op, arrays)
    if text(op, "mode", "nearest") == "nearest":
        return [_gathered(op, x)]
    return [_interpolated(x.astype(np.float64), _matrices(op, x.shape)).astype(x.dtype)]


def compute_integer(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """Exact where the weights are."""
    x = tensors[0]
    if not isinstance(x, IntTensor) or x.axis is not None:
        return None
    if text(op, "mode", "nearest") == "nearest":
        return [x.with_data(_gathered(op, x.data))]
    x = x.centered()
    matrices = {axis: np.ldexp(m, WEIGHT_BITS) for axis, m in _matrices(op, x.shape).items()}
    bits = WEIGHT_BITS * len(matrices)
    if any((m != np.rint(m)).any() for m in matrices.values()) or x.magnitude << (bits + 4) >= SAFE:
        return None
    data = _interpolated(x.data, {axis: m.astype(np.int64) for axis, m in matrices.items()})
    return [replace(x, data=data, scale=np.ldexp(x.scale, -bits))]


def _plan(op: Op, rank: int) -> dict[int, tuple[float, int | None]]:
    """For each resized axis its scale, and its size when sizes are given (the scale is then out / in)."""
    named = "sizes" if "sizes" in op.attrs else "scales"
    entries: tuple[float, ...] = ints(op, "sizes") if named == "sizes" else floats(op, "scales")
    layout = text(op, "layout", "NC" + "DHW"[5 - rank :] if rank <= 5 else "")
    space = [i for i, letter in enumerate(layout) if letter not in "NC"]
    if len(entries) == rank:
        axes = list(range(1, rank))
        entries = entries[1:]
    elif len(entries) == len(space):
        axes = space
    else:
        raise mismatch(op, f"{len(entries)} {named} for {rank} axes", f"{rank} or {len(space)}")
    if named == "sizes":
        return {axis: (math.nan, int(size)) for axis, size in zip(axes, entries, strict=True)}
    return {axis: (scale, None) for axis, scale in zip(axes, entries, strict=True) if scale != 1.0}


def _out_size(size: Dim, scale: float, wanted: int | None) -> Dim:
    if wanted is not None:
        return wanted
    return math.floor(size * np.float32(scale)) if isinstance(size, int) else None


def _axes(op: Op, shape: tuple[int, ...]) -> dict[int, tuple[int, float]]:
    """(output size, scale) of each axis that changes."""
    axes = {}
    for axis, (scale, wanted) in _plan(op, len(shape)).items():
        size = shape[axis]
        out = wanted if wanted is not None else math.floor(size * np.float32(scale))
        if out < 1:
            raise mismatch(op, f"an output size of {out}", "at least 1")
        if wanted is None or out != size:
            axes[axis] = (out, scale if wanted is None else out / size)
    return axes


def _coordinates(op: Op, size: int, out: int, scale: float) -> Array:
    """Source coordinate of every output, float32."""
    mode = text(op, "coordinate", "half_pixel", COORDINATES)
    o, by = np.arange(out, dtype=np.float32), np.float32(scale)
    if mode == "asymmetric":
        return o / by
    if mode == "align_corners":
        return np.zeros(1, np.float32) if out == 1 else o * np.float32(size - 1) / np.float32(out - 1)
    if mode == "pytorch_half_pixel" and out == 1:
        return np.zeros(1, np.float32)
    return (o + np.float32(0.5)) / by - np.float32(0.5)


def _gathered(op: Op, x: Array) -> Array:
    for axis, (out, scale) in _axes(op, x.shape).items():
        source = _coordinates(op, x.shape[axis], out, scale)
        x = np.take(x, np.clip(_nearest(op, source), 0, x.shape[axis] - 1), axis=axis)
    return x


def _nearest(op: Op, source: Array) -> Array:
    mode = text(op, "nearest_mode", "round_prefer_floor", NEAREST)
    if mode == "floor":
        index = np.floor(source)
    elif mode == "ceil":
        index = np.ceil(source)
    elif mode == "round_prefer_ceil":
        index = np.floor(source + np.float32(0.5))
    else:
        index = np.ceil(source - np.float32(0.5))
    return np.asarray(index, np.int64)


def _matrices(op: Op, shape: tuple[int, ...]) -> dict[int, Float64Array]:
    mode = text(op, "mode", "nearest", ("nearest", "linear", "cubic"))
    matrices = {}
    for axis, (out, scale) in _axes(op, shape).items():
        source = _coordinates(op, shape[axis], out, scale)
        matrices[axis] = (_linear if mode == "linear" else _cubic)(op, source, shape[axis])
    return matrices


def _linear(op: Op, source: Array, size: int) -> Float64Array:
    at = np.clip(source.astype(np.float64), 0, size - 1)
    low = np.floor(at).astype(np.int64)
    rest = at - low
    matrix = np.zeros((len(at), size))
    rows = np.arange(len(at))
    matrix[rows, low] += 1.0 - rest
    matrix[rows, np.minimum(low + 1, size - 1)] += rest
    return matrix


def _cubic(op: Op, source: Array, size: int) -> Float64Array:
    """Keys' kernel with coefficient `cubic_coeff_a` on four neighbours, clamped at the edges."""
    a, exclude = number(op, "cubic_coeff_a", -0.75), flag(op, "exclude_outside")
    at = source.astype(np.float64)
    low = np.floor(at).astype(np.int64)
    matrix = np.zeros((len(at), size))
    rows = np.arange(len(at))
    for offset in range(-1, 3):
        t = np.abs(at - low - offset)
        near = ((a + 2) * t - (a + 3)) * t * t + 1
        far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
        weight = np.where(t <= 1, near, far)
        index = low + offset
        if exclude:
            weight = np.where((index >= 0) & (index < size), weight, 0.0)
        np.add.at(matrix, (rows, np.clip(index, 0, size - 1)), weight)
    return matrix / matrix.sum(axis=1, keepdims=True) if exclude else matrix


def _interpolated(x: Array, matrices: dict[int, Array]) -> Array:
    for axis, matrix in matrices.items():
        x = np.moveaxis(np.tensordot(matrix, x, axes=(1, axis)), 0, axis)
    return x


SPECS = (OpSpec("resize", Traits("resize"), infer, compute, compute_integer),)

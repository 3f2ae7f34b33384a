"""From a range of real values to a scale: power-of-two positions and affine parameters.

A *position* p is a number of fractional bits: scale = 2**-p. Scales stay normal float32 numbers,
because every door stores them so: positions go from -127 to 126.

A range of zeros has no natural scale. It gets scale 1 (position 0, zero point 0), and so does a range too
small for a normal float32 scale. The original tools differ: PyTorch has position 18, TensorFlow 127 or 52.
"""

from __future__ import annotations

import math
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quantforge.diagnostics import InputError
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.rounding import FloatArray, Int64Array

MIN_POSITION = -127
MAX_POSITION = 126
_TINY = 2.0**-126  # the smallest normal float32
_HUGE = float(np.finfo(np.float32).max)

Float64Array = NDArray[np.float64]


def scale_of_position(position: int) -> float:
    """2**-position, exactly.

    >>> scale_of_position(5), scale_of_position(-2)
    (0.03125, 4.0)
    """
    return math.ldexp(1.0, -position)


def position_of_scale(scale: float) -> int | None:
    """The position when the scale is a power of two, else None.

    >>> position_of_scale(0.03125), position_of_scale(0.03)
    (5, None)
    """
    mantissa, exponent = math.frexp(scale)
    return 1 - exponent if mantissa == 0.5 else None


@overload
def non_overflow_position(lo: float, hi: float, format: IntFormat) -> int: ...


@overload
def non_overflow_position(lo: FloatArray, hi: FloatArray, format: IntFormat) -> Int64Array: ...


def non_overflow_position(lo: ArrayLike, hi: ArrayLike, format: IntFormat) -> int | Int64Array:
    """The largest position at which both ends of the range still round into the format.

    floor(log2(1 / max(lo / (qmin - 0.5), hi / (qmax + 0.5)))), the start of the original's `diffs` search,
    here computed on exponents and mantissas and therefore exact. An end that lies a half step outside counts
    as inside: rounding half up it saturates by that half step. An unsigned format has no place for negative
    values at any position, so its `lo` is not looked at.

    Args:
        lo: smallest value; a float, or one per slice.
        hi: largest value; as `lo`.
        format: the integers to fit into.

    Raises:
        InputError: Q0309 when an end is not a finite float32 number or lo > hi.

    >>> non_overflow_position(-1.0, 1.0, IntFormat(8)), non_overflow_position(-1.0, 0.5, IntFormat(8))
    (6, 7)
    """
    low, high = _checked_range(lo, hi)
    position = _fitting(high, format.qmax + 0.5)
    if format.signed:
        position = np.minimum(position, _fitting(-low, 0.5 - format.qmin))
    position = np.where(position > MAX_POSITION, 0, np.maximum(position, MIN_POSITION))
    return position if position.ndim else int(position)


def nearest_log_position(scale: float) -> int:
    """rint(-log2(scale)): the position nearest to a float scale in the log domain, as vai_q_onnx chooses it.

    Values up to sqrt(2) beyond the largest representable one then saturate; `non_overflow_position` is the
    rule that the documents promise. The scale is clamped to 2**-127 .. 2**127 first.

    >>> nearest_log_position(1.4 / 127), nearest_log_position(1.0)
    (7, 0)
    """
    return round(-math.log2(min(max(scale, 2.0**-127), 2.0**127)))


@overload
def affine_parameters(lo: float, hi: float, format: IntFormat, symmetric: bool) -> tuple[float, int]: ...


@overload
def affine_parameters(
    lo: FloatArray, hi: FloatArray, format: IntFormat, symmetric: bool
) -> tuple[Float64Array, Int64Array]: ...


def affine_parameters(
    lo: ArrayLike, hi: ArrayLike, format: IntFormat, symmetric: bool
) -> tuple[float, int] | tuple[Float64Array, Int64Array]:
    """Scale and zero point that span the range, widened to contain zero; the scale is a float32 number.

    Asymmetric: scale = (hi - lo) / (qmax - qmin), zero_point = rint(qmin - lo / scale) from the scale before
    it becomes a float32. Symmetric, with amax = max(-lo, hi): signed formats have scale = amax / qmax and
    zero point 0, unsigned ones scale = 2 * amax / qmax and zero point 2**(bits - 1). All are, to the
    last bit, those of ONNX Runtime's static quantizer (`compute_scale_zp`).

    Args:
        lo: smallest value; a float, or one per slice.
        hi: largest value; as `lo`.
        format: the integers to span.
        symmetric: zero in the middle of the format.

    Raises:
        InputError: Q0309 when an end is not a finite float32 number or lo > hi.

    >>> affine_parameters(0.0, 127.5, IntFormat(8, signed=False), symmetric=False)
    (0.5, 0)
    >>> affine_parameters(-63.5, 20.0, IntFormat(8), symmetric=True)
    (0.5, 0)
    """
    low, high = _checked_range(lo, hi)
    low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    if symmetric:
        amax = np.maximum(-low, high)
        scale = (amax + amax) / (2 * format.qmax if format.signed else format.qmax)
        zero = np.full_like(scale, 0 if format.signed else 1 << (format.bits - 1))
    else:
        scale = (high - low) / (format.qmax - format.qmin)
        zero = np.rint(format.qmin - low / np.maximum(scale, _TINY))
    degenerate = scale < _TINY
    scale = np.where(degenerate, 1.0, scale.astype(np.float32))
    points = np.where(degenerate, 0.0, zero).astype(np.int64)
    return (scale, points) if scale.ndim else (float(scale), int(points))


def _checked_range(lo: ArrayLike, hi: ArrayLike) -> tuple[Float64Array, Float64Array]:
    """Both ends as float64, finite, in order and within float32."""
    low, high = np.asarray(lo, np.float64), np.asarray(hi, np.float64)
    legal = (low <= high) & (low >= -_HUGE) & (high <= _HUGE)
    if not legal.all():
        at = np.unravel_index(int(np.argmin(legal)), legal.shape)
        found = f"from {np.broadcast_to(low, legal.shape)[at]} to {np.broadcast_to(high, legal.shape)[at]}"
        fix = "look for NaN or infinity in the tensor or the calibration data"
        raise InputError("Q0309", "range", found, "two ordered, finite float32 numbers", fix)
    return low, high


def _fitting(end: Float64Array, limit: float) -> Int64Array:
    """The largest p with end * 2**p <= limit, exactly; beyond MAX_POSITION when end <= 0."""
    mantissa, exponent = np.frexp(end)
    limit_mantissa, limit_exponent = math.frexp(limit)
    position = limit_exponent - exponent - (mantissa > limit_mantissa)
    return np.where(end > 0, position, MAX_POSITION + 1).astype(np.int64)

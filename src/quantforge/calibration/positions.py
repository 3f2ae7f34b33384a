"""Power-of-two positions from the segments of a sketch: non-overflow, and the least squared error.

Both search on the grid of integers low..high = qmin - zero_point..qmax - zero_point with steps 2**-p. Non-overflow is
the largest p at which the extremes still round into the grid; min-MSE tries it and the positions above it (each
halves the step and the range) and takes the smallest p of least squared error. Positions below it cannot be better
around zero: their grid has fewer points in the same range.

Reference: `MinMSE` of vai_q_onnx and `diffs` of the PyTorch quantizer, which try five positions. They start from
log2 of the scale rounded to nearest, minus one; its candidates are among these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from quantforge.calibration.errors import first_within, grid, squared_error
from quantforge.calibration.segments import Floats, Segments
from quantforge.calibration.sketch import Extent
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.positions import (
    MAX_POSITION,
    MIN_POSITION,
    affine_parameters,
    non_overflow_position,
    scale_of_position,
)
from quantforge.numerics.rounding import Rounding

CANDIDATES = 6  # the non-overflow position and five above it: ranges down to 1/32 of the extremes


@dataclass(frozen=True)
class PowerOfTwo:
    """A position (fractional bits) and the zero point that goes with it."""

    position: int
    zero_point: int

    def ends(self, format: IntFormat) -> Extent:
        """The range of real values that the grid covers."""
        low, high = grid(format, self.zero_point)
        return Extent(math.ldexp(low, -self.position), math.ldexp(high, -self.position))


def non_overflow(extent: Extent, format: IntFormat, symmetric: bool) -> PowerOfTwo:
    """The largest position at which no value of `extent` is held at an end of the format.

    Symmetric formats have their zero in the middle (0 signed, 2**(bits - 1) unsigned) and may hold an extreme up to
    half a step beyond the last integer, to which it rounds. Asymmetric ones take the zero point of the float range
    and the power of two at or above its scale.

    >>> non_overflow(Extent(-1.0, 1.0), IntFormat(8), symmetric=True)
    PowerOfTwo(position=6, zero_point=0)
    >>> non_overflow(Extent(0.0, 6.0), IntFormat(8, signed=False), symmetric=False)
    PowerOfTwo(position=5, zero_point=0)
    """
    lo, hi = min(extent.lo, 0.0), max(extent.hi, 0.0)
    if symmetric:
        centred = IntFormat(format.bits, narrow=format.narrow)
        zero_point = 0 if format.signed else 1 << (format.bits - 1)
        return PowerOfTwo(non_overflow_position(lo, hi, centred), zero_point)
    scale, zero_point = affine_parameters(lo, hi, format, False)
    mantissa, exponent = math.frexp(scale)
    position = 1 - exponent if mantissa == 0.5 else -exponent
    return PowerOfTwo(min(max(position, MIN_POSITION), MAX_POSITION), zero_point)


def least_error(
    segments: Segments,
    extent: Extent,
    format: IntFormat,
    symmetric: bool,
    rounding: Rounding = Rounding.HALF_EVEN,
    candidates: int = CANDIDATES,
    slack: float = 0.0,
) -> PowerOfTwo:
    """The position of least squared error among the non-overflow one and the next `candidates` - 1 above it.

    The smallest that errs at most 1 + `slack` times as much is taken. A tensor of zeros keeps the non-overflow one
    (0).
    Equal to the search over the values themselves unless the errors of two positions lie within the bounds
    `errors.squared_error_bounds` of each other.
    """
    start = non_overflow(extent, format, symmetric)
    if extent.lo == extent.hi == 0.0 or not segments.lo.size:
        return start
    tried = range(start.position, min(start.position + candidates, MAX_POSITION + 1))
    errors = position_errors(segments, tried, format, start.zero_point, rounding)
    return PowerOfTwo(tried[first_within(errors, slack)], start.zero_point)


def position_errors(
    segments: Segments,
    positions: range,
    format: IntFormat,
    zero_point: int,
    rounding: Rounding = Rounding.HALF_EVEN,
) -> Floats:
    """Sum of squared errors at each of `positions`; float64 [positions]."""
    steps = np.array([scale_of_position(position) for position in positions])
    low, high = grid(format, zero_point)
    return squared_error(segments, steps, low, high, rounding)

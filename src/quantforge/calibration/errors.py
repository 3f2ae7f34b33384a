"""Quantization error of a tensor from its sketch, in closed form.

With t = x / step, the grid the integers from `low` to `high`, n(t) = clamp(round(t), low, high) and r = t - n(t),

    F(t) = c n + r^3 / 3,      c = 1/12 for rounding to nearest, 1/3 for floor, ceil and truncation,

is an antiderivative of the squared error r^2: it is continuous, because r jumps where n does by just as much, and
beyond the grid r grows without a jump. A segment [a, b] of evenly spread values has the mean squared error

    step^2 (F(b / step) - F(a / step)) / ((b - a) / step).

What it can differ from the sum over the values themselves: a segment's true error lies between the smallest and the
largest squared error within it, `squared_error_bounds`. In a segment much narrower than a step both are almost
equal; in the top octave of an 8-bit range a segment is 0.5 to 1 step wide, and evenness is an assumption that holds
for activations with spread-out values, not for a handful of distinct ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantforge.calibration.segments import Floats, Segments, outside
from quantforge.graph import QuantSpec
from quantforge.numerics.compiled import compiled
from quantforge.numerics.formats import FloatFormat, IntFormat
from quantforge.numerics.rounding import Rounding, round_array

Ends = Floats | NDArray[np.int64] | float
DIRECTED = (Rounding.FLOOR, Rounding.CEIL, Rounding.TOWARD_ZERO)
_MAX_EXPONENT = {
    5: 65504.0
}  # largest finite number by exponent bits; 8 exponent bits reach beyond any float32


@dataclass(frozen=True)
class ExpectedError:
    """What one spec does to one tensor.

    Attributes:
        mse: Mean squared error.
        power: Mean square of the values.
        saturation: Share of the values held at an end of the grid: those that round to beyond it.
    """

    mse: float
    power: float
    saturation: float

    @property
    def sqnr_db(self) -> float:
        """Signal-to-quantization-noise ratio in decibels; infinite when nothing is lost."""
        if self.mse <= 0.0:
            return math.inf
        return 10.0 * math.log10(self.power / self.mse) if self.power > 0.0 else -math.inf


def squared_error(
    segments: Segments,
    steps: Floats,
    low: Ends,
    high: Ends,
    rounding: Rounding = Rounding.HALF_EVEN,
) -> Floats:
    """Sum of squared errors of all values for each candidate grid.

    Args:
        segments: The values.
        steps: Real value of one grid step, float64 [candidates].
        low: Smallest grid integer (qmin - zero point), one or one per candidate.
        high: Largest grid integer, as `low`.
        rounding: All modes that round to nearest have the same error.

    Returns:
        float64 [candidates].
    """
    far = np.ones(segments.lo.size, np.bool_)
    if (
        rounding not in DIRECTED
    ):  # values below half a step become zero at every candidate: their error is x^2
        far = np.maximum(np.abs(segments.lo), np.abs(segments.hi)) > 0.5 * steps.min()
    near_error = float(segments.squares[~far] @ segments.count[~far])
    bottom, top = np.reshape(low, (-1, 1)), np.reshape(high, (-1, 1))
    a, b = segments.lo[far] / steps[:, None], segments.hi[far] / steps[:, None]
    mean = _mean_squared_residue(a, b, bottom, top, rounding)
    return np.asarray(mean @ segments.count[far]) * steps * steps + near_error


def nearest_squared_error(segments: Segments, steps: Floats, low: Ends, high: Ends) -> Floats:
    """`squared_error` for rounding to nearest, equal to rounding errors, in a fraction of its time."""
    far = np.maximum(np.abs(segments.lo), np.abs(segments.hi)) > 0.5 * steps.min()
    errors = np.full(steps.size, float(segments.squares[~far] @ segments.count[~far]))
    scales, bottom, top = (
        np.array(np.broadcast_to(row, steps.shape), np.float64) for row in (steps, low, high)
    )
    add_nearest_errors(segments.lo[far], segments.hi[far], segments.count[far], scales, bottom, top, errors)
    return errors


@compiled(
    "float64[1] const", "float64[1] const", "float64[1] const", "float64[1] const", "float64[1] const",
    "float64[1] const", "float64[1]", reorder_sums=True,
)  # fmt: skip
def add_nearest_errors(
    lo: Floats, hi: Floats, count: Floats, steps: Floats, low: Floats, high: Floats, errors: Floats
) -> None:
    """Add the squared errors of segments from `lo` to `hi` of `count` values on each grid to `errors`."""
    for k in range(steps.size):
        step, bottom, top, total = steps[k], low[k], high[k], 0.0
        for i in range(lo.size):
            a, b = lo[i] / step, hi[i] / step
            na, nb = min(max(a, bottom), top), min(max(b, bottom), top)
            na, nb = np.rint(na), np.rint(nb)
            ra, rb, between = a - na, b - nb, nb - na
            mean = (rb * rb + rb * ra + ra * ra) / 3.0
            if between != 0.0:
                mean = (between / 12.0 + (rb - ra) * mean) / (b - a)
            total += mean * count[i]
        errors[k] += total * step * step


def expected_error(segments: Segments, spec: QuantSpec) -> ExpectedError:
    """Error, power and saturation of a tensor quantized per tensor by `spec`.

    Reference: the module's text; float formats are grids whose step is that of each value's octave.
    """
    total = segments.total
    if not total:
        return ExpectedError(0.0, 0.0, 0.0)
    if isinstance(spec.format, FloatFormat):
        return _float_error(segments, spec.format, spec.rounding)
    step = spec.scale[0]
    low, high = grid(spec.format, spec.zero_point[0])
    mse = squared_error(segments, np.array([step]), low, high, spec.rounding)[0] / total
    margin = _margin(spec.rounding)
    clamped = outside(segments, (low - margin[0]) * step, (high + margin[1]) * step)
    return ExpectedError(float(mse), segments.power, clamped / total)


def squared_error_bounds(segments: Segments, step: float, low: float, high: float) -> tuple[float, float]:
    """The least and the largest sum of squared errors that values in these segments can have, rounding to nearest."""
    a, b = segments.lo / step, segments.hi / step
    na, nb = np.clip(np.rint(a), low, high), np.clip(np.rint(b), low, high)
    ra, rb = np.abs(a - na), np.abs(b - nb)
    half_inside = na != nb  # passes the middle between two grid points
    grid_inside = np.floor(np.clip(b, low, high)) >= np.ceil(np.clip(a, low, high))
    grid_inside &= (b >= low) & (a <= high)
    most = np.where(half_inside, np.maximum(np.maximum(ra, rb), 0.5), np.maximum(ra, rb))
    least = np.where(grid_inside, 0.0, np.minimum(ra, rb))
    scale = step * step
    return float((least * least) @ segments.count) * scale, float((most * most) @ segments.count) * scale


def first_within(errors: Floats, slack: float) -> int:
    """The first index whose error is at most 1 + `slack` times the least.

    >>> first_within(np.array([9.0, 5.4, 5.0, 8.0]), 0.1)
    1
    """
    return int(np.argmax(errors <= (1.0 + slack) * errors.min()))


def grid(format: IntFormat, zero_point: int) -> tuple[float, float]:
    """The ends of the grid in steps from real zero: qmin - zero_point and qmax - zero_point."""
    return float(format.qmin - zero_point), float(format.qmax - zero_point)


def _mean_squared_residue(a: Floats, b: Floats, low: Floats, high: Floats, rounding: Rounding) -> Floats:
    """Mean of r^2 over [a, b], all in steps; shapes broadcast."""
    cell = 1.0 / 3.0 if rounding in DIRECTED else 1.0 / 12.0
    na, nb = _nearest(a, low, high, rounding), _nearest(b, low, high, rounding)
    ra, rb = a - na, b - nb
    # rb^3 - ra^3 without cancellation where both ends round alike: (rb - ra)(rb^2 + rb ra + ra^2)
    squares = (rb * rb + rb * ra + ra * ra) / 3.0
    width = b - a
    steps = nb - na
    if not steps.any():
        return np.asarray(squares)
    with np.errstate(divide="ignore", invalid="ignore"):
        mixed = (cell * steps + (rb - ra) * squares) / width
    return np.where(steps == 0.0, squares, mixed)


def _nearest(t: Floats, low: Floats, high: Floats, rounding: Rounding) -> Floats:
    clamped = np.clip(t, low, high)
    if rounding in DIRECTED:
        return np.asarray(round_array(clamped, rounding), np.float64)
    return np.rint(clamped, out=clamped)


def _margin(rounding: Rounding) -> tuple[float, float]:
    """How far beyond the two ends of the grid a value still rounds to them, in steps."""
    if rounding is Rounding.FLOOR:
        return 0.0, 1.0
    if rounding is Rounding.CEIL:
        return 1.0, 0.0
    return (1.0, 1.0) if rounding is Rounding.TOWARD_ZERO else (0.5, 0.5)


def _float_error(segments: Segments, format: FloatFormat, rounding: Rounding) -> ExpectedError:
    magnitude = np.maximum(np.abs(segments.lo), np.abs(segments.hi))
    _, exponent = np.frexp(np.where(magnitude > 0, magnitude * (1.0 - 2.0**-30), 1.0))
    smallest = 2 - (1 << (format.exponent_bits - 1))  # exponent of the smallest normal number
    step = np.ldexp(1.0, np.maximum(exponent - 1, smallest) - format.mantissa_bits)
    top = _MAX_EXPONENT.get(format.exponent_bits, math.inf)
    edge = np.full_like(step, math.inf) if math.isinf(top) else top / step
    mean = _mean_squared_residue(segments.lo / step, segments.hi / step, -edge, edge, rounding)
    mse = float((mean * step * step) @ segments.count) / segments.total
    clamped = 0.0 if math.isinf(top) else outside(segments, -top, top)
    return ExpectedError(mse, segments.power, clamped / segments.total)

"""Rounding modes, once: for floats, for integer shifts and for integer ratios, each exact.

Sources: user guide UG1414 (Vitis AI 3.5) and the PyTorch quantizer's method numbers, given in brackets.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quantforge.diagnostics import InputError

FloatArray = NDArray[np.floating[Any]]
Int64Array = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_INT64 = np.iinfo(np.int64)


class Rounding(str, Enum):
    """How a real number becomes an integer; all but the last three go to the nearest and differ at ties."""

    HALF_EVEN = "half-even"  # [8] ONNX QuantizeLinear, NumPy, Python 3
    HALF_UP = "half-up"  # [2] DPU_ROUND: floor(x + 0.5)
    HALF_DOWN = "half-down"  # [6] ties toward zero
    HALF_AWAY = "half-away"  # [3] std_round: ties away from zero
    DPU_MIXED = "dpu-mixed"  # [5] negative ties up, positive ties to even
    FLOOR = "floor"  # [4]
    CEIL = "ceil"  # [7]
    TOWARD_ZERO = "toward-zero"

    def __str__(self) -> str:
        return self.value


def round_array(x: FloatArray, mode: Rounding) -> FloatArray:
    """Round every element to an integer, keeping shape and dtype; exact for every float, ±inf and NaN stay.

    The textbook ``floor(x + 0.5)`` is wrong for 0.49999999999999994 and for odd integers beyond 2**52,
    because the sum itself is rounded. Doubling and halving are exact, so ties are settled on ``2 * x``.

    >>> round_array(np.array([-2.5, -0.5, 0.49999999999999994, 2.5]), Rounding.HALF_UP).tolist()
    [-2.0, -0.0, 0.0, 3.0]
    """
    with np.errstate(over="ignore"):
        rounded = round_moderate(x, mode)
    np.copyto(rounded, x, where=np.isinf(rounded))  # 2 * x overflowed: so large a float is an integer
    return rounded


def round_moderate(x: FloatArray, mode: Rounding, out: FloatArray | None = None) -> FloatArray:
    """As `round_array`, for arrays whose double is known not to overflow; `out` may be `x` itself."""
    out = np.empty_like(x) if out is None else out
    if mode is Rounding.HALF_EVEN:
        return np.rint(x, out=out)
    if mode is Rounding.FLOOR:
        return np.floor(x, out=out)
    if mode is Rounding.CEIL:
        return np.ceil(x, out=out)
    if mode is Rounding.TOWARD_ZERO:
        return np.trunc(x, out=out)
    if mode is Rounding.HALF_UP:
        return _half_up(x, out)
    if mode is Rounding.DPU_MIXED:
        negative = np.asarray(np.minimum(x, 0))
        positive = np.maximum(x, 0, out=out)
        return np.add(np.rint(positive, out=out), _half_up(negative, negative), out=out)
    magnitude = np.asarray(np.abs(x))
    settle = _half_up if mode is Rounding.HALF_AWAY else _half_below
    return np.copysign(settle(magnitude, magnitude), x, out=out)


def _half_up(x: FloatArray, out: FloatArray) -> FloatArray:
    """Ties toward +inf: ceil(floor(2x) / 2)."""
    np.add(x, x, out=out)
    np.floor(out, out=out)
    np.multiply(out, out.dtype.type(0.5), out=out)
    return np.ceil(out, out=out)


def _half_below(x: FloatArray, out: FloatArray) -> FloatArray:
    """Ties toward -inf: floor(ceil(2x) / 2)."""
    np.add(x, x, out=out)
    np.ceil(out, out=out)
    np.multiply(out, out.dtype.type(0.5), out=out)
    return np.floor(out, out=out)


def shift_right(accumulator: ArrayLike, shift: ArrayLike, mode: Rounding = Rounding.HALF_UP) -> Int64Array:
    """Exactly ``round(accumulator / 2**shift)`` on int64, for any shift; one shift, or one per element.

    A negative shift multiplies by ``2**-shift``. What leaves int64 then saturates at its extremes: every
    caller clamps to a format of at most 32 bits next, so the clamped result is still the exact one.

    >>> shift_right([-384, -128, 128, 384, -640], 8).tolist()
    [-1, 0, 1, 2, -2]
    >>> shift_right([3, -3], -2).tolist()
    [12, -12]
    """
    acc, by = np.asarray(accumulator, np.int64), np.asarray(shift, np.int64)
    if by.min(initial=0) < 0:
        acc = _shift_left_saturating(acc, -np.clip(by, -63, 0))
    right = np.clip(by, 0, 125)  # beyond 125 bits every quotient rounds alike
    if right.max(initial=0) > 62:
        acc, right = _fold_into_62_bits(acc, right)
    quotient: Int64Array = np.asarray(np.right_shift(acc, right))
    if mode is Rounding.HALF_UP:  # the highest bit that fell out decides; the integer datapath's own rule
        up = np.right_shift(acc, np.maximum(right - 1, 0)) & (right > 0).astype(np.int64)
        return np.add(quotient, up, out=quotient)
    unit = np.left_shift(np.int64(1), right)
    return np.add(quotient, _goes_up(quotient, acc & (unit - 1), unit, mode), out=quotient)


def round_ratio(
    numerator: ArrayLike, denominator: ArrayLike, mode: Rounding = Rounding.HALF_UP
) -> Int64Array:
    """Exactly ``round(numerator / denominator)`` on int64, for positive denominators.

    >>> round_ratio([7, -7, 5], 2, Rounding.HALF_EVEN).tolist()
    [4, -4, 2]

    Raises:
        InputError: Q0304 when a denominator is not positive.
    """
    top, bottom = np.asarray(numerator, np.int64), np.asarray(denominator, np.int64)
    if not (bottom > 0).all():
        raise InputError(
            "Q0304", "round_ratio", f"the denominator {bottom.min()}", "positive integers", "move its sign up"
        )
    quotient: Int64Array = np.asarray(np.floor_divide(top, bottom))
    return np.add(quotient, _goes_up(quotient, top - quotient * bottom, bottom, mode))


def _goes_up(quotient: Int64Array, rest: Int64Array, unit: Int64Array, mode: Rounding) -> BoolArray:
    """Where ``floor + rest / unit``, with 0 <= rest < unit, rounds to floor + 1; never overflows."""
    complement = unit - rest
    if mode is Rounding.FLOOR:
        return np.zeros(rest.shape, np.bool_)
    if mode is Rounding.CEIL:
        return np.asarray(rest > 0)
    if mode is Rounding.TOWARD_ZERO:
        return np.asarray((rest > 0) & (quotient < 0))
    if mode is Rounding.HALF_UP:
        return np.asarray(rest >= complement)
    tie_goes_up: BoolArray = np.asarray(quotient < 0)
    if mode is Rounding.HALF_AWAY:
        tie_goes_up = ~tie_goes_up
    elif mode is Rounding.HALF_EVEN:
        tie_goes_up = quotient & 1 == 1
    elif mode is Rounding.DPU_MIXED:
        tie_goes_up |= quotient & 1 == 1
    return np.asarray((rest > complement) | ((rest == complement) & tie_goes_up))


def _shift_left_saturating(acc: Int64Array, left: Int64Array) -> Int64Array:
    """``acc * 2**left`` for left in 0..63, held at the extremes of int64."""
    limit = _INT64.max >> left
    shifted = np.clip(acc, -limit - 1, limit) << left
    return np.where(acc > limit, np.int64(_INT64.max), shifted)


def _fold_into_62_bits(acc: Int64Array, right: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Drop the bits beyond a shift of 62 into a sticky lowest bit, which keeps every rounding decision."""
    excess = np.clip(right - 62, 0, 63)
    kept = np.right_shift(acc, excess)
    return kept | (np.left_shift(kept, excess) != acc), right - excess

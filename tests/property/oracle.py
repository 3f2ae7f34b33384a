"""What the arithmetic must give, in Python integers and fractions: slow, obvious, and sharing no code with src.

A float enters as the fraction that it is, so nothing here rounds except where a definition says so.
"""

from __future__ import annotations

import math
from fractions import Fraction

from quantforge.numerics.formats import FloatFormat, IntFormat
from quantforge.numerics.rounding import Rounding

FLOAT32 = FloatFormat("float32", 8, 23)
FLOAT64 = FloatFormat("float64", 11, 52)
HALF = Fraction(1, 2)


def round_fraction(value: Fraction, mode: Rounding) -> int:
    """The integer that `mode` chooses for `value`."""
    below = value.numerator // value.denominator
    rest = value - below
    if rest == 0:
        return below
    if mode is Rounding.FLOOR:
        return below
    if mode is Rounding.CEIL:
        return below + 1
    if mode is Rounding.TOWARD_ZERO:
        return below if value > 0 else below + 1
    if rest != HALF:
        return below if rest < HALF else below + 1
    even = below if below % 2 == 0 else below + 1
    return {
        Rounding.HALF_EVEN: even,
        Rounding.HALF_UP: below + 1,
        Rounding.HALF_DOWN: below if value > 0 else below + 1,
        Rounding.HALF_AWAY: below + 1 if value > 0 else below,
        Rounding.DPU_MIXED: even if value > 0 else below + 1,
    }[mode]


def largest(format: FloatFormat) -> Fraction:
    """The largest finite number."""
    return (2 - Fraction(1, 2**format.mantissa_bits)) * 2 ** (2 ** (format.exponent_bits - 1) - 1)


def nearest(value: Fraction, format: FloatFormat) -> Fraction | float:
    """The nearest number of a binary float format, ties to even; ±inf beyond the largest (IEEE 754)."""
    if value == 0:
        return Fraction(0)
    exponent = abs(value.numerator).bit_length() - value.denominator.bit_length()
    if Fraction(2) ** exponent > abs(value):
        exponent -= 1
    lowest = 2 - 2 ** (format.exponent_bits - 1)
    step = Fraction(2) ** (max(exponent, lowest) - format.mantissa_bits)
    rounded = round_fraction(value / step, Rounding.HALF_EVEN) * step
    return rounded if abs(rounded) <= largest(format) else (math.inf if value > 0 else -math.inf)


def clamp(value: int, format: IntFormat) -> int:
    """Into the range of the format."""
    low = -(2 ** (format.bits - 1)) + format.narrow if format.signed else 0
    high = 2 ** (format.bits - 1) - 1 if format.signed else 2**format.bits - 1
    return min(max(value, low), high)


def quantize(
    x: float, scale: float, zero_point: int, format: IntFormat, mode: Rounding, divide_in: FloatFormat
) -> int:
    """clamp(round(x / scale) + zero_point), the ratio being a number of `divide_in`."""
    ratio = x if math.isinf(x) else nearest(Fraction(x) / Fraction(scale), divide_in)
    if isinstance(ratio, float):
        return clamp(2**40 if ratio > 0 else -(2**40), format)
    return clamp(round_fraction(ratio, mode) + zero_point, format)


def dequantize(q: int, scale: float, zero_point: int) -> float:
    """(q - zero_point) * scale in float32: the difference rounded once, the product rounded once."""
    difference = nearest(Fraction(q - zero_point), FLOAT32)
    assert isinstance(difference, Fraction)
    return float(nearest(difference * Fraction(scale), FLOAT32))

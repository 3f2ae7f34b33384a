"""float16 and bfloat16: round to nearest, ties to even, from float32 or float64 in one rounding.

bfloat16 is the upper half of a float32: 1 sign, 8 exponent, 7 stored mantissa bits. NumPy has no such type,
so it travels as uint16 bit patterns, or as float32 values that have a bfloat16 pattern.

Overflow: the conversions follow IEEE 754 (half a step beyond the largest finite number becomes inf), as ONNX
Cast does. `fake_quantize_float` clamps to the largest finite number first, as the Vitis float16 quantizer
does (+-65504), because one infinity in an activation turns the rest of a network into NaN. The Vitis bfloat16
quantizer truncates; this module rounds, as ONNX Runtime's Cast does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quantforge.numerics.formats import FLOAT16, FloatFormat
from quantforge.numerics.rounding import FloatArray

_QUIET_NAN = np.uint16(0x7FC0)


def largest_finite(format: FloatFormat) -> float:
    """The largest finite number: 65504 for float16, about 3.39e38 for bfloat16.

    >>> largest_finite(FLOAT16)
    65504.0
    """
    largest_exponent = (1 << (format.exponent_bits - 1)) - 1
    return (2.0 - 2.0**-format.mantissa_bits) * 2.0**largest_exponent


def to_float16(x: ArrayLike) -> NDArray[np.float16]:
    """Nearest float16, overflow to inf; denormals are kept.

    >>> to_float16([1.0009765, 65519.0, 65520.0]).tolist()
    [1.0009765625, 65504.0, inf]
    """
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(x).astype(np.float16)


def to_bfloat16_bits(x: ArrayLike) -> NDArray[np.uint16]:
    """Bit patterns of the nearest bfloat16, overflow to inf; every NaN becomes a quiet NaN of its sign.

    >>> [hex(bits) for bits in to_bfloat16_bits([1.0, -2.0, 1.01171875, np.inf])]
    ['0x3f80', '0xc000', '0x3f82', '0x7f80']
    """
    values = np.asarray(x)
    single = (
        _odd_float32(values) if values.dtype not in (np.float16, np.float32) else values.astype(np.float32)
    )
    bits = single.view(np.uint32)
    to_even = ((bits >> 16) & 1) + np.uint32(0x7FFF)
    rounded = ((bits + to_even) >> 16).astype(np.uint16)
    sign = (bits >> 16).astype(np.uint16) & np.uint16(0x8000)
    return np.where(np.isnan(single), sign | _QUIET_NAN, rounded)


def from_bfloat16_bits(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The float32 values of bfloat16 bit patterns: exact.

    >>> from_bfloat16_bits(np.array([0x3F80, 0xC000], np.uint16)).tolist()
    [1.0, -2.0]
    """
    return (np.asarray(bits, np.uint16).astype(np.uint32) << 16).view(np.float32)


def to_bfloat16(x: ArrayLike) -> NDArray[np.float32]:
    """Nearest bfloat16, as float32 values; overflow to inf.

    >>> to_bfloat16([1.00390625, 3.0]).tolist()
    [1.0, 3.0]
    """
    return from_bfloat16_bits(to_bfloat16_bits(x))


def fake_quantize_float(x: ArrayLike, format: FloatFormat, saturate: bool = True) -> FloatArray:
    """To the nearest number of `format` and back to the dtype of `x`; NaN stays NaN.

    Args:
        x: real values, any shape.
        format: float16 or bfloat16.
        saturate: clamp to the largest finite number, ±inf included; otherwise overflow gives ±inf.

    >>> fake_quantize_float(np.array([1e6, 0.1], np.float32), FLOAT16).tolist()
    [65504.0, 0.0999755859375]
    """
    values = np.asarray(x)
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    narrow = clamp_to_finite(values, format) if saturate else values
    nearest: NDArray[Any] = to_float16(narrow) if format == FLOAT16 else to_bfloat16(narrow)
    with np.errstate(over="ignore", under="ignore"):
        return nearest.astype(values.dtype, copy=False)


def clamp_to_finite(x: ArrayLike, format: FloatFormat) -> NDArray[Any]:
    """`x` with everything beyond the largest finite number of `format`, ±inf included, held there.

    >>> clamp_to_finite([np.inf, -1e5, 3.0], FLOAT16).tolist()
    [65504.0, -65504.0, 3.0]
    """
    values = np.asarray(x)
    limit = largest_finite(format)
    if values.dtype == np.float16:
        limit = min(limit, largest_finite(FLOAT16))  # a bound must be a number of the array's own dtype
    return np.asarray(np.clip(values, -limit, limit))


def _odd_float32(x: NDArray[Any]) -> NDArray[np.float32]:
    """float64 to float32 to be rounded again: truncated, with lost bits marked in the lowest one."""
    exact = x.astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        single = np.asarray(exact.astype(np.float32))
    bits = single.view(np.uint32)
    bits -= (np.abs(single) > np.abs(exact)).astype(np.uint32)
    bits |= (single != exact) & ~np.isnan(exact)
    return single

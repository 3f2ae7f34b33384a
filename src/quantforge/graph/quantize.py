"""A `QuantSpec` applied to an array: the arithmetic of `numerics` under the names that graphs use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quantforge.graph.spec import QuantSpec
from quantforge.numerics.affine import IntArray, dequantize, fake_quantize, quantize
from quantforge.numerics.formats import FLOAT16, FloatFormat
from quantforge.numerics.lowfloat import (
    clamp_to_finite,
    fake_quantize_float,
    from_bfloat16_bits,
    to_bfloat16_bits,
    to_float16,
)
from quantforge.numerics.rounding import FloatArray


def quantize_value(x: ArrayLike, spec: QuantSpec, where: str = "tensor") -> IntArray | NDArray[np.float16]:
    """Stored form of `x`: integers, float16 numbers, or bfloat16 bit patterns (uint16).

    `where` names the tensor in error messages.

    >>> from quantforge.numerics.formats import INT8
    >>> quantize_value([0.5, -9.0], QuantSpec.power_of_two(INT8, 5)).tolist()
    [16, -128]
    """
    if isinstance(spec.format, FloatFormat):
        finite = clamp_to_finite(x, spec.format)
        return to_float16(finite) if spec.format == FLOAT16 else to_bfloat16_bits(finite)
    return quantize(
        x,
        spec.scale,
        spec.zero_point,
        format=spec.format,
        rounding=spec.rounding,
        axis=spec.axis,
        where=where,
    )


def dequantize_value(q: NDArray[Any], spec: QuantSpec, where: str = "tensor") -> FloatArray:
    """Real values, float32, of what `quantize_value` stored.

    >>> from quantforge.numerics.formats import INT8
    >>> dequantize_value(np.array([16, -128], np.int8), QuantSpec.power_of_two(INT8, 5)).tolist()
    [0.5, -4.0]
    """
    if isinstance(spec.format, FloatFormat):
        return np.asarray(q, np.float32) if spec.format == FLOAT16 else from_bfloat16_bits(q)
    return dequantize(q, spec.scale, spec.zero_point, axis=spec.axis, where=where)


def fake_quantize_value(x: ArrayLike, spec: QuantSpec, where: str = "tensor") -> FloatArray:
    """`x` after storing it as `spec` says and reading it back, in the dtype of `x`.

    >>> from quantforge.numerics.formats import INT8
    >>> fake_quantize_value(np.array([0.51, -9.0]), QuantSpec.power_of_two(INT8, 5)).tolist()
    [0.5, -4.0]
    """
    if isinstance(spec.format, FloatFormat):
        return fake_quantize_float(x, spec.format)
    return fake_quantize(
        x,
        spec.scale,
        spec.zero_point,
        format=spec.format,
        rounding=spec.rounding,
        axis=spec.axis,
        where=where,
    )

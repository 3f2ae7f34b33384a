"""Affine quantization: q = clamp(round(x / scale) + zero_point), x' = (q - zero_point) * scale.

Source: ONNX QuantizeLinear and DequantizeLinear. For 8 and 16 bits, float32 and half-even rounding these
functions equal ONNX Runtime's kernels bit for bit.

Precision: float32 and float16 arrays are divided in float32, as ONNX Runtime does, and float64 ones in
float64. Formats wider than 24 bits always divide in float64, because float32 cannot hold their integers.
Clamping happens in float, before the cast, so nothing ever wraps: ±inf goes to the ends of the range.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from quantforge.diagnostics import InputError
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.rounding import FloatArray, Rounding, round_moderate

IntArray = NDArray[np.integer[Any]]

_FLOAT32_BITS = 24


def quantize(
    x: ArrayLike,
    scale: ArrayLike,
    zero_point: ArrayLike = 0,
    *,
    format: IntFormat,
    rounding: Rounding = Rounding.HALF_EVEN,
    axis: int | None = None,
    where: str = "quantize",
) -> IntArray:
    """Integers of `format` nearest to ``x / scale``, in the format's storage dtype and the shape of `x`.

    Args:
        x: real values, any shape.
        scale: real value of one step, > 0: one number, or with `axis` one per slice.
        zero_point: integer that stands for 0.0, inside the format; one number, or one per slice.
        format: integers to choose from.
        rounding: how ``x / scale`` becomes an integer.
        axis: dimension of `x` that the slices run along; None means one scale for the whole tensor.
        where: name of the tensor, for error messages.

    Raises:
        InputError: Q0305 NaN in `x`; Q0306 scale, Q0307 zero point, Q0308 axis or lengths that do not fit.

    >>> quantize([-3.0, -0.3, 0.25, np.inf], 0.5, format=IntFormat(8)).tolist()
    [-6, -1, 0, 127]
    """
    steps, zero = _steps(_real(x), scale, zero_point, format, rounding, axis, where)
    if steps.dtype == np.float32 and format.bits < _FLOAT32_BITS:
        steps += zero.astype(np.float32)  # exact: both stay below 2**24
        return steps.astype(format.storage)
    return np.asarray(steps.astype(np.int64) + zero).astype(format.storage)


def dequantize(
    q: ArrayLike,
    scale: ArrayLike,
    zero_point: ArrayLike = 0,
    *,
    axis: int | None = None,
    dtype: DTypeLike = np.float32,
    where: str = "dequantize",
) -> FloatArray:
    """Real values ``(q - zero_point) * scale`` of `dtype`: exact subtraction, one rounding, one product.

    >>> dequantize(np.array([0, 128, 255], np.uint8), 0.5, 128).tolist()
    [-64.0, 0.0, 63.5]
    """
    integers, real = np.asarray(q), np.dtype(dtype)
    compute = np.dtype(np.float32) if real == np.float16 else real
    factor = along_axis(_positive_scale(scale, compute, where), axis, integers.ndim, integers.shape, where)
    zero = along_axis(np.asarray(zero_point, np.int64), axis, integers.ndim, integers.shape, where)
    if integers.dtype.itemsize > 2 or np.abs(zero).max(initial=0) > 1 << 16:
        integers = np.subtract(integers, zero, dtype=np.int64)  # float32 would round before the subtraction
        zero = np.zeros((), np.int64)
    values = np.empty(integers.shape, compute)
    np.copyto(values, integers, casting="same_kind")
    values -= zero.astype(compute)
    with np.errstate(over="ignore", under="ignore"):
        np.multiply(values, factor, out=values)
        return values.astype(real, copy=False)


def fake_quantize(
    x: ArrayLike,
    scale: ArrayLike,
    zero_point: ArrayLike = 0,
    *,
    format: IntFormat,
    rounding: Rounding = Rounding.HALF_EVEN,
    axis: int | None = None,
    where: str = "fake_quantize",
) -> FloatArray:
    """``dequantize(quantize(x))`` without the integers in between, bit for bit equal; keeps the dtype of `x`.

    >>> fake_quantize(np.array([-0.3, 0.25, 100.0], np.float32), 0.5, format=IntFormat(8)).tolist()
    [-0.5, 0.0, 63.5]
    """
    real = _real(x)
    compute = np.dtype(np.float32) if real.dtype == np.float16 else real.dtype
    steps, _ = _steps(real, scale, zero_point, format, rounding, axis, where)
    values = steps.astype(compute, copy=False)
    values += compute.type(0.0)  # -0.0 becomes 0.0, as it does on the way through integers
    factor = along_axis(_positive_scale(scale, compute, where), axis, real.ndim, real.shape, where)
    with np.errstate(over="ignore", under="ignore"):
        np.multiply(values, factor, out=values)
        return values.astype(real.dtype, copy=False)


def along_axis(
    values: NDArray[Any], axis: int | None, ndim: int, shape: tuple[int, ...], where: str
) -> NDArray[Any]:
    """Reshape one number per slice so that it broadcasts along `axis` of `shape`; a lone number stays one.

    Raises:
        InputError: Q0308 when the axis does not exist or the length is not that of the axis.
    """
    if axis is None:
        if values.size != 1:
            found = f"{values.size} parameters and no axis"
            raise InputError("Q0308", where, found, "one parameter", "name the axis they belong to")
        return values.reshape(())
    if not -ndim <= axis < ndim:
        raise InputError("Q0308", where, f"axis {axis}", f"an axis of the shape {shape}", "correct the axis")
    if values.size == 1:
        return values.reshape(())
    if values.shape != (shape[axis],):
        found = f"parameters of shape {values.shape}"
        expected = f"{shape[axis]} of them, one per slice along axis {axis} of the shape {shape}"
        raise InputError("Q0308", where, found, expected, "correct the axis or the parameters")
    return values.reshape([-1 if d == axis % ndim else 1 for d in range(ndim)])


def _real(x: ArrayLike) -> FloatArray:
    """As an array of float16, float32 or float64."""
    values = np.asarray(x)
    return values if values.dtype in (np.float16, np.float32, np.float64) else values.astype(np.float64)


def _steps(
    x: FloatArray,
    scale: ArrayLike,
    zero_point: ArrayLike,
    format: IntFormat,
    rounding: Rounding,
    axis: int | None,
    where: str,
) -> tuple[FloatArray, IntArray]:
    """``clamp(round(x / scale), qmin - zp, qmax - zp)`` as exact integers in floats, and zp to add.

    Clamping comes before rounding: the bounds are integers, so the order does not change the result.
    """
    compute = np.dtype(np.float64 if format.bits > _FLOAT32_BITS or x.dtype == np.float64 else np.float32)
    factor = along_axis(_positive_scale(scale, compute, where), axis, x.ndim, x.shape, where)
    zero = along_axis(_inside_format(zero_point, format, where), axis, x.ndim, x.shape, where)
    ratio = np.empty(x.shape, compute)
    with np.errstate(over="ignore", under="ignore"):
        np.divide(x, factor, out=ratio, dtype=compute)
    np.clip(ratio, (format.qmin - zero).astype(compute), (format.qmax - zero).astype(compute), out=ratio)
    if np.isnan(ratio.sum()):
        count = int(np.isnan(ratio).sum())
        found = f"NaN in {count} of {ratio.size} values"
        raise InputError("Q0305", where, found, "numbers", "look for the operator that made it")
    return round_moderate(ratio, rounding, out=ratio), zero


def _positive_scale(scale: ArrayLike, dtype: np.dtype[Any], where: str) -> FloatArray:
    """The scale in the dtype that divides; zero, negative, infinite and NaN scales are refused."""
    with np.errstate(over="ignore", under="ignore"):
        values = np.asarray(scale, np.float64).astype(dtype)
    bad = ~((values > 0) & np.isfinite(values))
    if bad.any():
        found = f"the scale {np.asarray(scale, np.float64)[bad].flat[0]!s}"
        raise InputError(
            "Q0306", where, found, f"a positive, finite {dtype}", "scale 1 for a tensor of zeros"
        )
    return values


def _inside_format(zero_point: ArrayLike, format: IntFormat, where: str) -> NDArray[np.int64]:
    """The zero point as int64, refused when it is not an integer of the format."""
    values = np.asarray(zero_point)
    outside = (values < format.qmin) | (values > format.qmax) | (values != np.rint(values))
    if outside.any():
        found = f"the zero point {values[outside].flat[0]!s}"
        expected = f"an integer from {format.qmin} to {format.qmax} ({format})"
        raise InputError("Q0307", where, found, expected, "widen the format or recompute the parameters")
    return values.astype(np.int64)

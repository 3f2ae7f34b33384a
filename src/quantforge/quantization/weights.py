"""Specs of constants: weights, biases and other data known before running.

The data is at hand, so errors are summed exactly over every element, unlike activations, which are known only
through their sketch.  With step s the squared error of a candidate is  sum((s * clamp(round(x / s)) - x)^2).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quantforge.calibration.choose import range_of
from quantforge.calibration.methods import RangeMethod, ScaleKind
from quantforge.calibration.sketch import sketch_of
from quantforge.graph import Array, QuantSpec
from quantforge.numerics.compiled import compiled
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.positions import affine_parameters, non_overflow_position, scale_of_position
from quantforge.quantization.recipe import TensorRule

POSITION_WINDOW = range(5)  # candidates tried above the non-overflow position, as the original's `diffs`
CLIP_FACTORS = np.linspace(0.4, 1.0, 31)  # candidates of the mean-square-error range, as a share of max|x|
Errors = NDArray[np.float64]


def constant_spec(data: Array, rule: TensorRule, axis: int | None) -> QuantSpec:
    """The spec that `rule` gives to a constant: per slice along `axis`, or for the whole tensor when None.

    Symmetric around zero, except asymmetric rules with float scales. No value is to come that is not seen, so
    `slack` does not count. A float format has no scale.
    """
    format = rule.format
    if not isinstance(format, IntFormat):
        return QuantSpec(format)
    rows = _rows(data, axis)
    # the grid around zero: an unsigned format has its zero point in the middle, and the same step
    centred = IntFormat(format.bits, narrow=format.narrow)
    if rule.scales is ScaleKind.POWER_OF_TWO:
        scales = [scale_of_position(_position(row, centred, rule)) for row in rows]
        zero = 0 if format.signed else 1 << (format.bits - 1)
        return QuantSpec(format, tuple(scales), (zero,) * len(scales), axis, rule.rounding)
    if rule.symmetric:
        ends = [(-top, top) for top in (_top(row, rule, centred) for row in rows)]
    else:
        found = (range_of(sketch_of([row]), replace(rule, slack=0.0)) for row in rows)
        ends = [(min(extent.lo, 0.0), max(extent.hi, 0.0)) for extent in found]
    pairs = [affine_parameters(lo, hi, format, rule.symmetric) for lo, hi in ends]
    return QuantSpec(format, tuple(s for s, _ in pairs), tuple(z for _, z in pairs), axis, rule.rounding)


def position_by_error(data: Array, format: IntFormat, window: range = POSITION_WINDOW) -> int:
    """The position of least squared error among the non-overflow position and those `window` above it.

    Ties keep the smaller position (larger scale). All zeros give position 0.
    Reference: option MinMSE of vai_q_onnx, method `diffs` of the PyTorch quantizer.
    """
    start = non_overflow_position(float(data.min(initial=0.0)), float(data.max(initial=0.0)), format)
    scales = np.array([scale_of_position(start + step) for step in window])
    errors = squared_errors(
        np.ascontiguousarray(data, np.float32).reshape(-1), scales, format.qmin, format.qmax
    )
    return start + window[int(np.argmin(errors))]


def squared_errors_reference(x: NDArray[np.float32], scales: Errors, qmin: int, qmax: int) -> Errors:
    """The definition of `squared_errors`, in NumPy."""
    rows = []
    for scale in scales.astype(np.float32):
        inverse = np.float32(1.0) / scale
        q = np.rint(np.clip(x * inverse, np.float32(qmin), np.float32(qmax)))
        rows.append(np.sum((q * scale - x).astype(np.float64) ** 2))
    return np.array(rows)


def squared_errors(x: NDArray[np.float32], scales: Errors, qmin: int, qmax: int) -> Errors:
    """Sum of squared quantization errors of `x` for each scale, zero point 0, ties to even.

    Terms are computed in float32 as a deployed model computes them, and summed in float64; `x` [n] holds no NaN.
    """
    errors = np.zeros(scales.size)
    add_squared_errors(x, scales, qmin, qmax, errors)
    return errors


# Terms are exact to float32; their sum may be taken in any order, which lets eight be added at a time.
@compiled("float32[1] const", "float64[1] const", "int64", "int64", "float64[1]", reorder_sums=True)
def add_squared_errors(x: NDArray[np.float32], scales: Errors, qmin: int, qmax: int, errors: Errors) -> None:
    """Add `squared_errors` to `errors`, one per scale."""
    lowest, highest = np.float32(qmin), np.float32(qmax)
    for k in range(scales.size):
        scale = np.float32(scales[k])
        inverse = np.float32(1.0) / scale
        total = 0.0
        for i in range(x.size):
            q = x[i] * inverse
            q = lowest if q < lowest else q
            q = highest if q > highest else q
            difference = np.float64(np.rint(q) * scale - x[i])
            total += difference * difference
        errors[k] += total


def _rows(data: Array, axis: int | None) -> NDArray[np.float32]:
    """The data as [slices, elements]; one slice for the whole tensor."""
    if axis is None:
        return data.reshape(1, -1)
    return np.ascontiguousarray(np.moveaxis(data, axis, 0)).reshape(data.shape[axis], -1)


def _position(row: NDArray[np.float32], format: IntFormat, rule: TensorRule) -> int:
    if rule.method is RangeMethod.MSE:
        return position_by_error(row, format)
    if rule.method in (RangeMethod.PERCENTILE, RangeMethod.ENTROPY):
        top = _top(row, rule, format)
        return non_overflow_position(-top, top, format)
    return non_overflow_position(float(row.min(initial=0.0)), float(row.max(initial=0.0)), format)


def _top(row: NDArray[np.float32], rule: TensorRule, format: IntFormat) -> float:
    """max|x| to represent."""
    top = float(np.abs(row).max(initial=0.0))
    if rule.method is RangeMethod.PERCENTILE:
        return float(np.percentile(np.abs(row), rule.percentile))
    if rule.method is RangeMethod.ENTROPY:
        return max(abs(end) for end in _entropy_ends(row))
    if rule.method is not RangeMethod.MSE:
        return top
    scales = np.maximum(CLIP_FACTORS * top, np.finfo(np.float32).tiny) / format.qmax
    errors = squared_errors(np.ascontiguousarray(row), scales, format.qmin, format.qmax)
    return float(CLIP_FACTORS[int(np.argmin(errors))] * top)


def _entropy_ends(row: NDArray[np.float32]) -> tuple[float, float]:
    from quantforge.calibration.entropy import entropy_range  # compiled code that no other method needs
    from quantforge.calibration.segments import segments_of

    found = entropy_range(segments_of(sketch_of([row])))
    return found.lo, found.hi

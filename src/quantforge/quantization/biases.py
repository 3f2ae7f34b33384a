"""Specs of biases.

product:  s_b = s_x * s_w (per channel where the weights are), zero point 0: the bias is added to the accumulator
          as it stands.
own:      s_b = 2^-f_b of least squared error, within the reach of the accumulator's shift
              shift_bias = f_x + f_w - f_b,    min(0, shift_cut - 16) <= shift_bias <= 15,
              shift_cut  = f_x + f_w - f_y.
          The shift's reach is that of 8-bit devices; beside wider tensors the position is free.
float:    as weights of one scale get theirs.
A float format has no scale.
Source: reference arithmetic of the DPU; bounds as the ONNX quantizer of Vitis AI checks them (AdjustShiftBias).
"""

from __future__ import annotations

import numpy as np

from quantforge.calibration.methods import RangeMethod
from quantforge.graph import Array, QuantSpec
from quantforge.numerics.formats import FloatFormat, IntFormat
from quantforge.numerics.positions import non_overflow_position, position_of_scale
from quantforge.quantization.recipe import BiasRule, BiasScale, TensorRule
from quantforge.quantization.weights import constant_spec, position_by_error

MAX_SHIFT_BIAS = 15
ONE_BYTE = 8


def bias_spec(
    bias: Array,
    rule: BiasRule,
    x: QuantSpec | None,
    w: QuantSpec | None,
    y: QuantSpec | None,
    least_shift: int | None = None,
) -> QuantSpec | None:
    """The spec of `bias` [channels] for an op with input spec `x`, weight spec `w` and output spec `y`.

    None where the scale is the product of those of `x` and `w`, and one of them is not an integer: such a bias stays
    float. `least_shift` replaces the lower bound of shift_bias.
    """
    format = rule.format
    if isinstance(format, FloatFormat):
        return QuantSpec(format)
    if rule.scale is BiasScale.PRODUCT:
        return _product(rule, x, w)
    if rule.scale is BiasScale.FLOAT:
        own = TensorRule(
            format,
            symmetric=rule.symmetric,
            method=rule.method,
            percentile=rule.percentile,
            rounding=rule.rounding,
        )
        return constant_spec(bias, own, None)
    if rule.method is RangeMethod.NON_OVERFLOW:
        position = non_overflow_position(float(bias.min(initial=0.0)), float(bias.max(initial=0.0)), format)
    else:
        position = position_by_error(bias, format)
    return QuantSpec.power_of_two(format, _within_shifts(position, x, w, y, least_shift), rule.rounding)


def _product(rule: BiasRule, x: QuantSpec | None, w: QuantSpec | None) -> QuantSpec | None:
    if x is None or w is None or not all(isinstance(spec.format, IntFormat) for spec in (x, w)):
        return None
    scales = tuple(float(np.float32(x.scale[0]) * np.float32(s)) for s in w.scale)
    return QuantSpec(rule.format, scales, (0,) * len(scales), None if len(scales) == 1 else 0, rule.rounding)


def _within_shifts(
    position: int, x: QuantSpec | None, w: QuantSpec | None, y: QuantSpec | None, least_shift: int | None
) -> int:
    """`position` within the reach of the accumulator's shift, where there is one."""
    # by the scale alone: a zero point of 128 (uint8 around zero) leaves the shifts as they are
    narrow = all(s is not None and s.format.bits <= ONE_BYTE for s in (x, w))
    fx, fw, fy = (None if s is None else position_of_scale(s.scale[0]) for s in (x, w, y))
    if not narrow or fx is None or fw is None:
        return position
    accumulator = fx + fw
    cut = 0 if fy is None else accumulator - fy
    least = min(0, cut - 16) if least_shift is None else least_shift
    return min(max(position, accumulator - MAX_SHIFT_BIAS), accumulator - least)

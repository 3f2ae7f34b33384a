"""Specs of biases.

product:  s_b = s_x * s_w (per channel where the weights are), zero point 0: the bias is added to the accumulator
          as it stands.
own:      s_b = 2^-f_b of least squared error, within the reach of the accumulator's shift
              shift_bias = f_x + f_w - f_b,    min(0, shift_cut - 16) <= shift_bias <= 15,
              shift_cut  = f_x + f_w - f_y.
          The shift's reach is that of 8-bit devices; beside wider tensors the position is free.
Source: reference arithmetic of the DPU; bounds as the ONNX quantizer of Vitis AI checks them (AdjustShiftBias).
"""

from __future__ import annotations

import numpy as np

from quantforge.graph import Array, QuantSpec
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.positions import position_of_scale
from quantforge.quantization.recipe import BiasRule, BiasScale
from quantforge.quantization.weights import position_by_error

MAX_SHIFT_BIAS = 15
ONE_BYTE = 8


def bias_spec(bias: Array, rule: BiasRule, x: QuantSpec, w: QuantSpec, y: QuantSpec | None) -> QuantSpec:
    """The spec of `bias` [channels] for an op with input spec `x`, weight spec `w` and output spec `y`."""
    format = rule.format
    if rule.scale is BiasScale.PRODUCT or not isinstance(format, IntFormat):
        scales = tuple(float(np.float32(x.scale[0]) * np.float32(s)) for s in w.scale)
        return QuantSpec(format, scales, (0,) * len(scales), None if len(scales) == 1 else 0)
    position = position_by_error(bias, format)
    # by the scale alone: a zero point of 128 (uint8 around zero) leaves the shifts as they are
    narrow = all(s.format.bits <= ONE_BYTE for s in (x, w))
    fx, fw, fy = (None if s is None else position_of_scale(s.scale[0]) for s in (x, w, y))
    if narrow and fx is not None and fw is not None:
        accumulator = fx + fw
        lowest = accumulator - MAX_SHIFT_BIAS
        cut = 0 if fy is None else accumulator - fy
        position = min(max(position, lowest), accumulator - min(0, cut - 16))
    return QuantSpec.power_of_two(format, position)

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quantforge.calibration.methods import RangeMethod
from quantforge.graph import QuantSpec
from quantforge.numerics.formats import BFLOAT16, INT8, INT32, UINT8, IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.quantization.biases import bias_spec
from quantforge.quantization.recipe import BiasRule, BiasScale
from quantforge.quantization.weights import position_by_error

OWN = BiasRule(INT8, BiasScale.OWN)
PRODUCT = BiasRule(INT32, BiasScale.PRODUCT)


def at(position: int) -> QuantSpec:
    return QuantSpec.power_of_two(INT8, position)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=5),
    st.integers(-4, 14),
    st.integers(-4, 14),
    st.integers(-4, 14),
)
def test_an_own_position_stays_within_the_shifts_of_the_accumulator(
    values: list[float], fx: int, fw: int, fy: int
) -> None:
    bias = np.array(values, np.float32)
    position = bias_spec(bias, OWN, at(fx), at(fw), at(fy)).position
    assert position is not None
    shift_bias, shift_cut = fx + fw - position, fx + fw - fy
    lowest = min(0, shift_cut - 16)
    assert lowest <= shift_bias <= 15
    free = position_by_error(bias, INT8)
    if lowest <= fx + fw - free <= 15:
        assert position == free


def test_without_an_output_spec_the_bias_may_be_finer_by_sixteen_bits() -> None:
    tiny = np.array([1e-9], np.float32)
    assert bias_spec(tiny, OWN, at(3), at(4), None).position == 3 + 4 + 16


def test_an_unsigned_input_around_zero_shifts_like_a_signed_one() -> None:
    unsigned = QuantSpec(UINT8, (2.0**-5,), (128,))
    bias = np.array([3.0e4, -1.0], np.float32)
    assert bias_spec(bias, OWN, unsigned, at(12), at(2)) == bias_spec(bias, OWN, at(5), at(12), at(2))


def test_a_product_scale_is_that_of_the_accumulator_as_float32() -> None:
    x = QuantSpec(UINT8, (0.1,), (7,))
    w = QuantSpec(INT8, (0.3, 0.07), (0, 0), axis=0)
    spec = bias_spec(np.zeros(2, np.float32), PRODUCT, x, w, None)
    assert spec.format == INT32 and spec.axis == 0 and spec.zero_point == (0, 0)
    assert spec.scale == tuple(float(np.float32(0.1) * np.float32(s)) for s in w.scale)


def test_a_product_scale_of_one_weight_scale_has_no_axis() -> None:
    spec = bias_spec(np.zeros(2, np.float32), PRODUCT, at(3), at(4), None)
    assert spec.axis is None and spec.position == 7


def test_beside_wider_tensors_the_position_of_a_bias_is_free() -> None:
    bias = np.array([20.0, -1.0], np.float32)
    wide = QuantSpec.power_of_two(IntFormat(16), 14)
    assert bias_spec(bias, OWN, at(5), wide, at(4)).position == position_by_error(bias, INT8) == 2
    assert bias_spec(bias, OWN, at(5), at(14), at(4)).position == 4  # saturated: the shift ends


def test_a_bias_of_its_own_float_scale_is_quantized_as_a_weight() -> None:
    bias = np.array([-3.0, 0.5, 2.0], np.float32)
    rule = BiasRule(IntFormat(16), BiasScale.FLOAT, RangeMethod.MIN_MAX, rounding=Rounding.HALF_UP)
    spec = bias_spec(bias, rule, at(5), at(7), at(4))
    assert spec == QuantSpec(IntFormat(16), (float(np.float32(3.0 / 32767)),), rounding=Rounding.HALF_UP)
    asymmetric = bias_spec(bias, replace(rule, format=UINT8, symmetric=False), None, None, None)
    assert asymmetric is not None and asymmetric.zero_point == (153,)


def test_a_float_format_needs_nothing_and_a_product_both_scales() -> None:
    bias = np.ones(2, np.float32)
    assert bias_spec(bias, BiasRule(BFLOAT16), None, None, None) == QuantSpec(BFLOAT16)
    for x, w in ((None, at(1)), (at(1), None), (QuantSpec(BFLOAT16), at(1))):
        assert bias_spec(bias, PRODUCT, x, w, None) is None


def test_a_position_that_nothing_saturates_at_and_a_floor_for_its_shift() -> None:
    bias = np.array([1.0, *[0.01] * 50], np.float32)
    free = replace(OWN, method=RangeMethod.NON_OVERFLOW)
    finest = bias_spec(bias, free, None, None, None)
    assert finest is not None and finest.position == 6
    tiny = bias_spec(np.array([1e-6], np.float32), OWN, at(3), at(4), at(3), least_shift=0)
    assert tiny is not None and tiny.position == 7

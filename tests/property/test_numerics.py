"""Every function of `numerics` against the oracle: every mode, every width, and the numbers that break things."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.numerics.affine import dequantize, fake_quantize, quantize
from quantforge.numerics.formats import BFLOAT16, FLOAT16, FloatFormat, IntFormat
from quantforge.numerics.law import average_factor
from quantforge.numerics.lowfloat import fake_quantize_float, to_bfloat16, to_float16
from quantforge.numerics.positions import affine_parameters, non_overflow_position
from quantforge.numerics.rounding import Rounding, round_array, round_ratio, shift_right
from tests.property import oracle

MODES = list(Rounding)
FORMATS = [
    IntFormat(bits, signed, narrow)
    for bits in range(2, 33)
    for signed, narrow in ((True, False), (True, True), (False, False))
]
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
# Near a tie, near a power of two, denormal, huge: all exact in float64, rounded by NumPy in float32.
HARD = [
    0.49999999999999994,
    0.49999997,
    0.5,
    0.50000006,
    1.5,
    2.5,
    2.4999998,
    4194303.5,
    8388607.5,
    8388609.0,
]
HARD += [2.0**31, 2.0**51 + 0.5, 2.0**52 - 0.5, 2.0**52 + 1, 2.0**53 + 2, 5e-324, 1e-45, 1.2e-38, 3e38, 1e30]
HARD += [-value for value in HARD] + [0.0, -0.0]

floats32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
floats64 = st.floats(allow_nan=False, allow_infinity=False)
modes = st.sampled_from(MODES)
formats = st.sampled_from(FORMATS)
scales = st.floats(2.0**-100, 2.0**100, width=32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", MODES)
def test_hard_numbers_round_exactly(mode: Rounding, dtype: type) -> None:
    x = np.array([*HARD, np.finfo(dtype).max, -np.finfo(dtype).max, np.finfo(dtype).tiny], dtype)
    rounded = round_array(x, mode)
    assert rounded.dtype == dtype
    assert [int(r) for r in rounded] == [oracle.round_fraction(Fraction(float(v)), mode) for v in x]


@settings(deadline=None, max_examples=200)
@given(st.lists(floats64 | st.integers(-1000, 1000).map(lambda n: n / 2), max_size=20), modes)
def test_round_array(values: list[float], mode: Rounding) -> None:
    rounded = round_array(np.array(values, np.float64), mode)
    assert [int(r) for r in rounded] == [oracle.round_fraction(Fraction(v), mode) for v in values]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.integers(INT64_MIN, INT64_MAX), min_size=1, max_size=8), st.integers(-70, 140), modes)
def test_shift_right(accumulators: list[int], shift: int, mode: Rounding) -> None:
    expected = [oracle.round_fraction(Fraction(a) / Fraction(2) ** shift, mode) for a in accumulators]
    saturated = [min(max(e, INT64_MIN), INT64_MAX) for e in expected]
    assert shift_right(accumulators, shift, mode).tolist() == saturated


@pytest.mark.parametrize("mode", MODES)
def test_shift_right_at_the_extremes_and_at_ties(mode: Rounding) -> None:
    shifts = range(-66, 130)
    values = [0, 1, -1, 3, -3, 5, -5, 2**31 - 1, -(2**31), INT64_MAX, INT64_MIN, 2**62, -(2**62), 3 * 2**61]
    got = shift_right(np.array(values)[:, None], np.array(shifts)[None, :], mode)
    for row, value in zip(got.tolist(), values, strict=True):
        exact = [oracle.round_fraction(Fraction(value) / Fraction(2) ** shift, mode) for shift in shifts]
        assert row == [min(max(e, INT64_MIN), INT64_MAX) for e in exact]


@settings(deadline=None, max_examples=200)
@given(st.integers(INT64_MIN, INT64_MAX), st.integers(1, INT64_MAX) | st.integers(1, 9), modes)
def test_round_ratio(top: int, bottom: int, mode: Rounding) -> None:
    assert int(round_ratio(top, bottom, mode)) == oracle.round_fraction(Fraction(top, bottom), mode)


def hard_inputs(format: IntFormat, scale: float, zero_point: int) -> np.ndarray:
    """Float32: integers, ties and near-ties around both ends and the middle; denormals; infinities."""
    ends = [format.qmin - zero_point, format.qmax - zero_point, 0, 1]
    steps = [end + offset for end in ends for offset in (-1, -0.5, 0, 0.5, 1)]
    x = np.array([*steps, 3e38, -3e38, 1e-45, -1e-45], np.float32) * np.float32(scale)
    near = np.concatenate([np.nextafter(x, np.float32(np.inf)), np.nextafter(x, np.float32(-np.inf))])
    return np.concatenate([x, near[np.isfinite(near)], np.array([np.inf, -np.inf], np.float32)])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.filterwarnings("ignore:overflow")
def test_quantize_every_mode_and_width(mode: Rounding) -> None:
    for number, format in enumerate(FORMATS):
        scale = [1.0, 2.0**-7, 0.1, 2.0**9][number % 4]
        scale = float(np.float32(scale)) if format.bits <= 24 else scale
        zero_point = [0, format.qmin, format.qmax, (format.qmin + format.qmax) // 3][(number // 4) % 4]
        x = hard_inputs(format, scale, zero_point)
        q = quantize(x, scale, zero_point, format=format, rounding=mode)
        assert q.dtype == format.storage
        divide_in = oracle.FLOAT64 if format.bits > 24 else oracle.FLOAT32
        expected = [oracle.quantize(float(v), scale, zero_point, format, mode, divide_in) for v in x]
        assert q.tolist() == expected, (format, mode, scale, zero_point)
        there_and_back = dequantize(q, scale, zero_point)
        stored = float(np.float32(scale))
        assert there_and_back.tolist() == [oracle.dequantize(e, stored, zero_point) for e in expected]
        fake = fake_quantize(x, scale, zero_point, format=format, rounding=mode)
        assert fake.tobytes() == there_and_back.tobytes()


@settings(deadline=None, max_examples=300)
@given(floats32, scales, formats, modes, st.floats(0, 1))
def test_quantize_anything(x: float, scale: float, format: IntFormat, mode: Rounding, where: float) -> None:
    zero_point = format.qmin + int(where * (format.qmax - format.qmin))
    divide_in = oracle.FLOAT64 if format.bits > 24 else oracle.FLOAT32
    q = quantize(np.float32(x), scale, zero_point, format=format, rounding=mode)
    assert q.shape == ()
    assert int(q) == oracle.quantize(x, scale, zero_point, format, mode, divide_in)


@settings(deadline=None, max_examples=200)
@given(floats64, scales, formats, modes)
def test_float64_is_divided_in_float64(x: float, scale: float, format: IntFormat, mode: Rounding) -> None:
    q = quantize(np.float64(x), scale, format=format, rounding=mode)
    assert int(q) == oracle.quantize(x, scale, 0, format, mode, oracle.FLOAT64)
    back = dequantize(q, scale, dtype=np.float64)
    assert fake_quantize(np.float64(x), scale, format=format, rounding=mode).tobytes() == back.tobytes()


@settings(deadline=None, max_examples=50)
@given(st.data(), formats, modes)
def test_per_axis_is_per_tensor_on_each_slice(data: st.DataObject, format: IntFormat, mode: Rounding) -> None:
    slices = data.draw(st.lists(scales, min_size=3, max_size=3))
    zeros = data.draw(st.lists(st.integers(format.qmin, format.qmax), min_size=3, max_size=3))
    x = np.array(data.draw(st.lists(floats32, min_size=12, max_size=12)), np.float32).reshape(2, 3, 2)
    q = quantize(x, slices, zeros, format=format, rounding=mode, axis=1)
    back = dequantize(q, slices, zeros, axis=-2)
    fake = fake_quantize(x, slices, zeros, format=format, rounding=mode, axis=-2)
    for i, (scale, zero) in enumerate(zip(slices, zeros, strict=True)):
        alone = quantize(x[:, i], scale, zero, format=format, rounding=mode)
        assert np.array_equal(q[:, i], alone)
        assert np.array_equal(back[:, i], dequantize(alone, scale, zero))
    assert fake.tobytes() == back.tobytes()


@pytest.mark.parametrize("format", [FLOAT16, BFLOAT16], ids=str)
@settings(deadline=None, max_examples=300)
@given(floats32 | floats64 | st.floats(-7e4, 7e4) | st.floats(-1e-6, 1e-6))
def test_low_floats_round_once(format: FloatFormat, x: float) -> None:
    convert = to_float16 if format == FLOAT16 else to_bfloat16
    assert float(convert(np.float64(x))) == float(oracle.nearest(Fraction(x), format))


@pytest.mark.parametrize("format", [FLOAT16, BFLOAT16], ids=str)
def test_low_floats_at_every_tie(format: FloatFormat) -> None:
    """Every number of the format, the tie above it, and what is just beside the tie."""
    patterns = np.arange(((1 << format.exponent_bits) - 1) << format.mantissa_bits)
    if format == FLOAT16:
        numbers = patterns.astype(np.uint16).view(np.float16).astype(np.float64)
    else:
        numbers = (patterns.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    last_step = numbers[-1] - numbers[-2]
    ties = np.append((numbers[:-1] + numbers[1:]) / 2, numbers[-1] + last_step / 2)
    above = np.append(numbers[1:], np.inf)
    convert = to_float16 if format == FLOAT16 else to_bfloat16
    assert np.array_equal(convert(numbers), numbers)
    assert np.array_equal(convert(ties), np.where(patterns % 2 == 0, numbers, above))
    assert np.array_equal(convert(-ties), -convert(ties))
    assert np.array_equal(convert(np.nextafter(ties, np.inf)), above)
    assert np.array_equal(convert(np.nextafter(ties, 0)), numbers)


@settings(deadline=None, max_examples=200)
@given(floats32 | st.sampled_from([math.inf, -math.inf]), st.sampled_from([FLOAT16, BFLOAT16]))
def test_fake_float_saturates(x: float, format: FloatFormat) -> None:
    limit = oracle.largest(format)
    held = x if math.isfinite(x) else math.copysign(float(limit), x)
    expected = oracle.nearest(min(max(Fraction(held), -limit), limit), format)
    assert float(fake_quantize_float(np.float32(x), format)) == float(expected)


ordered = st.tuples(floats32, floats32).map(sorted)


@settings(deadline=None, max_examples=300)
@given(ordered | st.tuples(st.floats(-100, 0, width=32), st.floats(0, 100, width=32)).map(list), formats)
def test_non_overflow_position(ends: list[float], format: IntFormat) -> None:
    def fits(position: int) -> bool:
        low, high = (Fraction(end) * Fraction(2) ** position for end in ends)
        return high <= format.qmax + oracle.HALF and (not format.signed or low >= format.qmin - oracle.HALF)

    position = non_overflow_position(*ends, format)
    if position == -127:
        return
    if fits(127):
        assert position == 0  # a range of zeros, or too small for a normal float32 scale
    else:
        assert fits(position) and not fits(position + 1)


@settings(deadline=None, max_examples=200)
@given(ordered, formats, st.booleans())
def test_affine_parameters_span_the_range(ends: list[float], format: IntFormat, symmetric: bool) -> None:
    lo, hi = ends
    scale, zero = affine_parameters(lo, hi, format, symmetric)
    assert scale == float(np.float32(scale)) >= 2.0**-126
    assert format.qmin <= zero <= format.qmax
    if scale != 1.0:
        # two halves of a step: the zero point is rounded, and so is the value; 2**-20 for the float32 scale
        slack = Fraction(scale) * (1 + Fraction(format.qmax - format.qmin, 2**20))
        low = Fraction(scale) * (format.qmin - zero)
        high = Fraction(scale) * (format.qmax - zero)
        if not symmetric or not format.signed or format.narrow:
            assert low - slack <= min(Fraction(lo), 0)
        assert high + slack >= max(Fraction(hi), 0)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9, 18, 49, 81, 100, 196, 255, 1000])
def test_average_factor_is_the_first_best(count: int) -> None:
    candidates = []
    for shift in range(math.ceil(math.log2(128 * count))):
        numerator = oracle.round_fraction(Fraction(2**shift, count), Rounding.HALF_AWAY)
        candidates.append((abs(Fraction(numerator, 2**shift) - Fraction(1, count)), shift, numerator))
    _, shift, numerator = min(candidates)
    assert average_factor(count) == (numerator, shift)

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.graph import QuantSpec
from quantforge.graph.quantize import dequantize_value
from quantforge.numerics.formats import BFLOAT16, INT8, INT16, UINT8, IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.ops.integer import IntTensor, align, all_integer, dyadic, exact_dtype, requantize, shift_left


def test_reals_are_those_of_the_law() -> None:
    spec = QuantSpec(UINT8, (0.1, 0.7), (128, 3), axis=1)
    integers = np.random.default_rng(0).integers(0, 256, (50, 2)).astype(np.uint8)
    tensor = IntTensor.from_spec(integers, spec)
    assert np.array_equal(tensor.to_float(), dequantize_value(integers, spec))
    assert np.array_equal(tensor.centered().to_float(), tensor.to_float())
    assert tensor.centered().zero_point == 0


def test_exponents_and_magnitude() -> None:
    assert IntTensor.of([1], 0.25).exponents == -2
    assert IntTensor.of([[1, 2]], [0.5, 4.0], axis=1).exponents.tolist() == [-1, 2]  # type: ignore[union-attr]
    assert IntTensor.of([1], 0.3).exponents is None
    assert IntTensor.of([-(2**63)], 1.0).magnitude == 2**63
    assert IntTensor.of([], 1.0).magnitude == 0


def rounded(value: Fraction, mode: Rounding) -> int:
    floor = math.floor(value)
    rest = value - floor
    if mode is Rounding.HALF_UP:
        return floor + (rest >= Fraction(1, 2))
    return round(value)


@given(
    st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=8),
    st.integers(-20, 20),
    st.integers(-20, 20),
    st.integers(1, 1000),
    st.sampled_from([Rounding.HALF_UP, Rounding.HALF_EVEN]),
    st.sampled_from([INT8, UINT8, INT16, IntFormat(4), IntFormat(8, narrow=True)]),
)
def test_requantization_of_powers_of_two_is_exact(
    integers: list[int], source: int, target: int, divisor: int, mode: Rounding, form: IntFormat
) -> None:
    zero_point = 3
    tensor = IntTensor(np.array(integers), np.float64(2.0**-source), divisor=divisor)
    found = requantize(tensor, QuantSpec(form, (2.0**-target,), (zero_point,), None, mode))
    exact = [Fraction(v, divisor) * Fraction(2) ** (target - source) for v in integers]
    expected = [min(max(rounded(v, mode) + zero_point, form.qmin), form.qmax) for v in exact]
    assert found.data.tolist() == expected
    assert found.scale == 2.0**-target and found.zero_point == zero_point


def test_requantization_of_float_scales_is_the_rounded_product() -> None:
    tensor = IntTensor.of(np.arange(-300, 300), 0.013)
    spec = QuantSpec(INT8, (0.07,), (5,))
    found = requantize(tensor, spec).data
    ratio = 0.013 / float(np.float32(0.07))
    assert found.tolist() == [min(max(round(v * ratio) + 5, -128), 127) for v in range(-300, 300)]


def test_requantization_per_axis() -> None:
    tensor = IntTensor.of([[100, 100], [-7, -7]], [1.0, 0.5], axis=1)
    spec = QuantSpec(INT8, (4.0, 1.0), (0, 1), axis=0, rounding=Rounding.HALF_UP)
    assert requantize(tensor, spec).data.tolist() == [[25, 13], [-6, -2]]


def test_saturation_of_enormous_accumulators() -> None:
    tensor = IntTensor.of([2**61, -(2**61)], 1.0)
    assert requantize(tensor, QuantSpec.power_of_two(INT8, 20)).data.tolist() == [127, -128]
    assert requantize(tensor, QuantSpec(INT8, (1e-9,))).data.tolist() == [127, -128]


def test_a_float_format_has_no_integers() -> None:
    with pytest.raises(TypeError, match="bfloat16 is not an integer format"):
        requantize(IntTensor.of([1], 1.0), QuantSpec(BFLOAT16))


def test_align() -> None:
    a, b = IntTensor.of([[1, 2]], [0.5, 2.0], axis=1), IntTensor.of([[3, 4]], 1.0)
    aligned = align([a, b])
    assert aligned is not None
    assert [t.data.tolist() for t in aligned] == [[[1, 4]], [[6, 4]]]
    assert all(t.scale.tolist() == [0.5, 1.0] and t.axis == 1 for t in aligned)
    assert align([IntTensor.of([1], 0.5), IntTensor(np.array([1]), np.float64(0.5), divisor=3)]) is None
    assert align([a, IntTensor.of([[3], [4]], [1.0, 0.5], axis=0)]) is None


def test_all_integer_leaves_out_absent_tensors() -> None:
    found = all_integer([IntTensor.of([5], 1.0, 2), None])
    assert found is not None and found[0].data.tolist() == [3]
    assert all_integer([IntTensor.of([5], 1.0), np.ones(1)]) is None
    assert all_integer([None]) is None


def test_shift_left_stops_at_62_bits() -> None:
    shifted = shift_left(IntTensor.of([3], 1.0), 4)
    assert shifted is not None and shifted.data.tolist() == [48] and shifted.scale == 2.0**-4
    assert shift_left(IntTensor.of([2**40], 1.0), 30) is None


def test_dyadic() -> None:
    assert dyadic(0.1) is None and dyadic(math.inf) is None and dyadic(-1.5) == (-3, 1)
    assert dyadic(2731 / 16384) == (2731, 14)


def test_the_dtype_of_exact_sums() -> None:
    def of(bits: int) -> IntTensor:
        return IntTensor.of([2**bits], 1.0)

    assert exact_dtype(9, of(7), of(7)) is np.float32
    assert exact_dtype(2**10, of(7), of(7)) is np.float64
    assert exact_dtype(9, of(25), of(25)) is np.int64
    assert exact_dtype(9, of(31), of(31)) is None

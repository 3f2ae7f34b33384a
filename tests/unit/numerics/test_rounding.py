from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError, explain
from quantforge.numerics.affine import fake_quantize
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding, round_array, round_ratio, shift_right

# vai_q_pytorch fact sheet 13.1: what the original's kernels give at position 0, 8 bits.
INPUT = [-2.5, -1.5, -0.5, -0.3, 0.3, 0.5, 1.5, 2.5, 2.7, -2.7]
ORIGINAL = {
    Rounding.HALF_UP: [-2, -1, 0, 0, 0, 1, 2, 3, 3, -3],
    Rounding.HALF_AWAY: [-3, -2, -1, 0, 0, 1, 2, 3, 3, -3],
    Rounding.FLOOR: [-3, -2, -1, -1, 0, 0, 1, 2, 2, -3],
    Rounding.DPU_MIXED: [-2, -1, 0, 0, 0, 0, 2, 2, 3, -3],
    Rounding.HALF_DOWN: [-2, -1, 0, 0, 0, 0, 1, 2, 3, -3],
    Rounding.CEIL: [-2, -1, 0, 0, 1, 1, 2, 3, 3, -2],
    Rounding.HALF_EVEN: [-2, -2, 0, 0, 0, 0, 2, 2, 3, -3],
    Rounding.TOWARD_ZERO: [-2, -1, 0, 0, 0, 0, 1, 2, 2, -2],  # not in the original
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("mode", list(Rounding))
def test_original_kernels(mode: Rounding, dtype: type) -> None:
    x = np.array(INPUT, dtype)
    assert round_array(x, mode).tolist() == ORIGINAL[mode]
    assert round_array(x, mode).dtype == dtype
    assert fake_quantize(x, 1.0, format=INT8, rounding=mode).tolist() == ORIGINAL[mode]


@pytest.mark.parametrize("mode", list(Rounding))
def test_shift_agrees_on_the_same_numbers(mode: Rounding) -> None:
    halves = [-5, -3, -1, 1, 3, 5]
    assert shift_right(halves, 1, mode).tolist() == [ORIGINAL[mode][i] for i in (0, 1, 2, 5, 6, 7)]
    assert round_ratio(halves, 2, mode).tolist() == [ORIGINAL[mode][i] for i in (0, 1, 2, 5, 6, 7)]


def test_the_trap_of_adding_a_half() -> None:
    trap = np.array([0.49999999999999994, 2.0**52 + 1, -(2.0**52) - 1])
    assert round_array(trap, Rounding.HALF_UP).tolist() == [0.0, 2.0**52 + 1, -(2.0**52) - 1]


@pytest.mark.parametrize("mode", list(Rounding))
def test_infinity_and_nan_stay(mode: Rounding) -> None:
    rounded = round_array(np.array([np.inf, -np.inf, np.nan], np.float32), mode)
    assert rounded[:2].tolist() == [np.inf, -np.inf]
    assert np.isnan(rounded[2])


@pytest.mark.parametrize("mode", list(Rounding))
def test_shapes_are_kept(mode: Rounding) -> None:
    for shape in ((), (0,), (2, 0), (2, 3)):
        assert round_array(np.zeros(shape), mode).shape == shape
        assert shift_right(np.zeros(shape, np.int64), 3, mode).shape == shape
        assert round_ratio(np.zeros(shape, np.int64), 3, mode).shape == shape


def test_the_argument_is_left_alone() -> None:
    x = np.array([1.5, -1.5])
    acc = np.array([3, -3])
    for mode in Rounding:
        round_array(x, mode)
        shift_right(acc, 0, mode)[:] = 9
    assert x.tolist() == [1.5, -1.5]
    assert acc.tolist() == [3, -3]


def test_worked_shifts_of_the_dpu() -> None:
    """runtime_profiler fact sheet 2.1, at a shift of 8."""
    acc = [-384, -128, 128, 384, -640, -1152, -127, -129]
    assert shift_right(acc, 8).tolist() == [-1, 0, 1, 2, -2, -4, 0, -1]


def test_one_shift_per_channel() -> None:
    acc = np.full((2, 3), 100)
    assert shift_right(acc, [0, 3, -1]).tolist() == [[100, 13, 200]] * 2


def test_a_left_shift_saturates() -> None:
    top, bottom = 2**63 - 1, -(2**63)
    assert shift_right([1, -1, 2, -2, 0], -63).tolist() == [top, bottom, top, bottom, 0]
    assert shift_right([1, -1, 0], -1000).tolist() == [top, bottom, 0]
    assert shift_right(5, np.iinfo(np.int64).min) == top
    assert shift_right(-5, np.iinfo(np.int64).max) == 0


def test_denominators_are_positive() -> None:
    with pytest.raises(
        InputError, match="Q0304 round_ratio: found the denominator -2; expected positive integers"
    ):
        round_ratio([1, 2], [3, -2])
    assert explain("Q0304").title == "A ratio needs positive denominators"


def test_modes_print_as_their_text() -> None:
    assert f"{Rounding.HALF_UP}" == "half-up"
    assert Rounding("dpu-mixed") is Rounding.DPU_MIXED

"""The worked examples of the runtime_profiler fact sheet, section 2."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.numerics.law import (
    HARD_SIGMOID_SLOPE,
    LEAKY_RELU_SLOPE,
    average_factor,
    average_pool_factor,
    shift_bias,
    shift_cut,
)
from quantforge.numerics.rounding import shift_right

# kernel -> N, 2**M; sections 2.7
POOLS = {
    (1, 2): (1, 2),
    (2, 2): (1, 4),
    (2, 3): (85, 512),
    (3, 3): (7, 64),
    (4, 4): (1, 16),
    (5, 5): (10, 256),
    (6, 6): (7, 256),
    (7, 7): (21, 1024),
    (8, 8): (1, 64),
    (9, 9): (101, 8192),
    (10, 10): (41, 4096),
    (11, 11): (17, 2048),
    (12, 12): (57, 8192),
    (13, 13): (97, 16384),
    (14, 14): (21, 4096),
    (15, 15): (73, 16384),
    (16, 16): (1, 256),
    (7, 1): (73, 512),
    (1, 49): (21, 1024),
    (5, 3): (17, 256),
    (3, 6): (57, 1024),
    (6, 3): (57, 1024),
    (1, 1): (1, 1),
}


@pytest.mark.parametrize("kernel", POOLS, ids=str)
def test_average_pool_factors(kernel: tuple[int, int]) -> None:
    numerator, divisor = POOLS[kernel]
    factor = average_pool_factor(kernel)
    assert (factor.numerator, 1 << factor.shift) == (numerator, divisor)


def test_only_the_square_kernel_is_special() -> None:
    assert average_pool_factor((1, 9)) == average_factor(9) != average_pool_factor((3, 3))


def test_constants() -> None:
    assert LEAKY_RELU_SLOPE.value == 26 / 256
    assert HARD_SIGMOID_SLOPE.value == 2731 / 16384


def fix(accumulator: object, shift: int) -> list[int]:
    """What every fixed-point operator ends with."""
    return np.clip(shift_right(np.asarray(accumulator), shift), -128, 127).tolist()


def test_average_pool_7x7() -> None:
    factor = average_pool_factor((7, 7))
    assert fix(np.array([1500, -1512]) * factor.numerator, factor.shift) == [31, -31]


def test_average_pool_3x3() -> None:
    """Section 2.14."""
    factor = average_pool_factor((3, 3))
    sums = np.array([[12, 21, 16], [27, 45, 33], [24, 39, 28]])
    assert fix(sums * factor.numerator, factor.shift) == [[1, 2, 2], [3, 5, 4], [3, 4, 3]]


def test_shifts_of_a_convolution() -> None:
    cut, bias = shift_cut(5, 7, 4), shift_bias(5, 7, 8)
    assert (cut, bias) == (8, 4)
    assert fix(1234 + (-37 << bias), cut) == 3


def test_convolution_fixture() -> None:
    """Section 2.14."""
    acc = np.array([[0, 2, 4], [-1, 7, 9], [-4, 13, 15]])
    assert fix(acc + (-3 << shift_bias(2, 1, 2)), shift_cut(2, 1, 1)) == [[-1, -1, 0], [-2, 0, 1], [-2, 2, 2]]


def test_leaky_relu_on_the_accumulator() -> None:
    assert fix(-5000 * LEAKY_RELU_SLOPE.numerator, 8 + LEAKY_RELU_SLOPE.shift) == -2


def test_hard_sigmoid() -> None:
    """Section 2.11, positions 4 -> 7."""
    x = np.array([-48, -1, 0, 16, 47, 48])
    slope = HARD_SIGMOID_SLOPE
    product = np.clip(x + (3 << 4), 0, 6 << 4) * slope.numerator
    assert fix(product, slope.shift + 4 - 7) == [0, 63, 64, 85, 127, 127]


def test_hard_swish() -> None:
    """Section 2.11, positions 4 -> 4."""
    x = np.array([16, -16, 48, -40])
    slope = HARD_SIGMOID_SLOPE
    h = np.array(fix(np.clip(x + (3 << 4), 0, 6 << 4) * slope.numerator, slope.shift + 4 - 7))
    assert h.tolist() == [85, 43, 127, 11]
    assert fix(x * h, 4 + 7 - 4) == [11, -5, 48, -3]

"""The constants and shifts of the fixed-point accelerator: what stands for 1/n, 0.1 and 1/6 in integers.

Source: the pool-fix, conv2d-fix and hard-sigmoid-fix definitions of the DPU; UG1414 (Vitis AI 3.5). A real
constant becomes numerator / 2**shift, so that multiplying by it is an exact integer product followed by the
one rounding shift that every operator ends with.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import prod
from typing import NamedTuple


class Dyadic(NamedTuple):
    """The rational number numerator / 2**shift.

    >>> LEAKY_RELU_SLOPE.value
    0.1015625
    """

    numerator: int
    shift: int

    @property
    def value(self) -> float:
        """As a float: exact, as long as the numerator has at most 53 bits."""
        return self.numerator / (1 << self.shift)


LEAKY_RELU_SLOPE = Dyadic(26, 8)  # whatever the slope of the model says (0.1 in practice)
HARD_SIGMOID_SLOPE = Dyadic(2731, 14)  # about 1/6: hard-sigmoid(x) = clamp(x + 3, 0, 6) * 2731 / 16384

_SPECIAL_POOLS: dict[tuple[int, ...], Dyadic] = {
    (3, 3): Dyadic(7, 6),
    (5, 5): Dyadic(10, 8),
    (6, 6): Dyadic(7, 8),
}


@cache
def average_factor(count: int) -> Dyadic:
    """What a sum over `count` elements is multiplied by: the best N / 2**M near 1 / count, first of equals.

    M runs from 0 to ceil(log2(128 * count)) - 1 and N is 2**M / count rounded to nearest. Powers of two are
    exact. Reductions use this; pooling has three exceptions, see `average_pool_factor`.

    >>> average_factor(49), average_factor(16)
    (Dyadic(numerator=21, shift=10), Dyadic(numerator=1, shift=4))
    """
    best, best_error = Dyadic(0, 0), Fraction(1)
    for shift in range((128 * count - 1).bit_length()):
        numerator = ((2 << shift) + count) // (2 * count)
        error = abs(Fraction(numerator, 1 << shift) - Fraction(1, count))
        if error < best_error:
            best, best_error = Dyadic(numerator, shift), error
    return best


def average_pool_factor(kernel: tuple[int, ...]) -> Dyadic:
    """The factor of an average pool with this kernel; padding counts: the divisor is the full kernel.

    3x3, 5x5 and 6x6 have fixed factors; every other kernel follows `average_factor`. (The PyTorch quantizer
    also treats 3x6 and 6x3 by the 6x6 rule, which makes them 1.6 % too small: not followed here.)

    >>> average_pool_factor((3, 3)), average_pool_factor((2, 3))
    (Dyadic(numerator=7, shift=6), Dyadic(numerator=85, shift=9))
    """
    return _SPECIAL_POOLS.get(tuple(kernel)) or average_factor(prod(kernel))


def shift_cut(input_position: int, weight_position: int, output_position: int) -> int:
    """Right shift that brings a convolution's accumulator to the position of its output: f_in + f_w - f_out.

    >>> shift_cut(5, 7, 4)
    8
    """
    return input_position + weight_position - output_position


def shift_bias(input_position: int, weight_position: int, bias_position: int) -> int:
    """Left shift that brings a bias to the position of the accumulator: f_in + f_w - f_b.

    >>> shift_bias(5, 7, 8)
    4
    """
    return input_position + weight_position - bias_position

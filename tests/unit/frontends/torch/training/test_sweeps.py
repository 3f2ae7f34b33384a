from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quantforge.frontends.torch.training.sweeps import differentiate, quantize_half_away, quantize_half_up

quarters = st.integers(-4000, 4000).map(lambda k: k / 4)
rows = st.lists(quarters, min_size=1, max_size=40)
places = st.integers(-3, 6)


def rounded(value: Fraction, away: bool) -> int:
    half = Fraction(1, 2)
    if away and value < 0:
        return -math.floor(-value + half)
    return math.floor(value + half)


@given(rows, places, st.booleans(), st.booleans())
def test_quantizing_is_that_of_exact_numbers(x: list[float], place: int, away: bool, relu: bool) -> None:
    array, out = np.array(x, np.float32), np.empty(len(x), np.float32)
    scale, relu = Fraction(2) ** -place, relu and not away
    if away:
        quantize_half_away(array, float(scale), -128, 127, out)
    else:
        quantize_half_up(array, float(scale), -128, 127, int(relu), out)
    want = []
    for item in x:
        value = Fraction(max(item, 0.0) if relu else item)
        want.append(float(max(-128, min(127, rounded(value / scale, away))) * scale))
    assert out.tolist() == want


@given(rows, places, st.booleans(), st.booleans())
def test_gradients_stop_at_the_ends_of_the_range(x: list[float], place: int, away: bool, relu: bool) -> None:
    array, out = np.array(x, np.float32), np.empty(len(x), np.float32)
    scale, relu = Fraction(2) ** -place, relu and not away
    if away:
        quantize_half_away(array, float(scale), -128, 127, out)
    else:
        quantize_half_up(array, float(scale), -128, 127, int(relu), out)
    gradient = np.arange(1, len(x) + 1, dtype=np.float32)
    into, total = np.empty_like(array), np.zeros(1)
    differentiate(gradient, array, out, float(scale), -128, 127, int(relu), int(away), into, total)
    want, exact = [], Fraction(0)
    for weight, item, stored in zip(range(1, len(x) + 1), x, out.tolist(), strict=True):
        inside = -128 <= rounded(Fraction(item) / scale, away) <= 127 and (item > 0 or not relu)
        want.append(float(weight) if inside else 0.0)
        exact += weight * (Fraction(stored) - (Fraction(item) if inside else 0))
    assert into.tolist() == want
    assert math.isclose(total[0], float(exact), rel_tol=1e-5, abs_tol=1e-5 * sum(map(abs, x)) * len(x))

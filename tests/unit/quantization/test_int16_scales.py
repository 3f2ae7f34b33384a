from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.graph import QuantSpec
from quantforge.numerics.formats import INT8
from quantforge.quantization.int16_scales import int16_scale, with_int16_scales
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.solve import solve
from tests.networks import Net

PLAIN = Recipe("plain")
RECIPE = replace(PLAIN, int16_scales=True)


@pytest.mark.parametrize(
    ("scale", "factor", "shift"),
    [
        (0.1, 3277, 15),
        (1 / 3, 21845, 16),
        (0.0178, 1167, 16),
        (0.5, 1, 1),
        (1.3, 21299, 14),
        (0.0039, 1, 8),
        (1e-5, 1, 16),
        (1e-7, 1, 16),
        (40000.0, 32767, 0),
    ],
)
def test_reference_values(scale: float, factor: int, shift: int) -> None:
    assert int16_scale(scale) == (factor, shift)


@given(st.floats(2.0**-16, 32767.0))
def test_no_other_pair_is_nearer(scale: float) -> None:
    factor, shift = int16_scale(scale)
    assert 1 <= factor <= 32767 and 0 <= shift <= 16
    errors = {}
    for n in range(17):
        for m in {min(max(int(scale * 2**n) + d, 1), 32767) for d in (0, 1)}:
            errors[m, n] = abs(Fraction(m, 1 << n) - Fraction(scale))
    least = min(errors.values())
    assert errors[factor, shift] == least
    assert shift == min(n for (_, n), error in errors.items() if error == least)


def test_biases_follow_the_new_scales() -> None:
    net = Net()
    graph = net.done(net.conv("c", "x", 4))
    places = place(graph, PLAIN)
    solved = solve(graph, places, PLAIN, lambda group, rule: QuantSpec(INT8, (0.1,), (3,)))
    assert with_int16_scales(solved, places, PLAIN) is solved
    after = with_int16_scales(solved, places, RECIPE)
    x, w, b = (after.value(name).quant for name in ("x", "c.w", "c.b"))
    assert x is not None and w is not None and b is not None
    assert x.scale == (3277 / 2**15,) and x.zero_point == (3,)
    assert all((scale * 2**16).is_integer() for scale in w.scale)
    assert b.scale == (float(np.float32(x.scale[0]) * np.float32(w.scale[0])),)
    before = solved.value("c.w").quant
    assert before is not None and before.scale != w.scale

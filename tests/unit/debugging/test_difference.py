"""Which elements differ, and by how many steps."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.debugging.difference import Positions, differing, element, steps_between

INTEGERS = st.lists(st.tuples(st.integers(-128, 127), st.integers(-128, 127)), min_size=1, max_size=8)


@given(INTEGERS, st.integers(-10, 20), st.integers(-10, 20))
def test_steps_between_integers_are_exact(pairs: list[tuple[int, int]], p: int, q: int) -> None:
    first, second = np.array(pairs, np.int8).T
    unequal, steps = differing(first, second, Positions(p, q))
    for (a, b), differs, found in zip(pairs, unequal, steps, strict=True):
        exact = (Fraction(b) / Fraction(2) ** q - Fraction(a) / Fraction(2) ** p) * Fraction(2) ** max(p, q)
        assert Fraction(float(found)) == exact and bool(differs) == (exact != 0)


def test_a_real_number_may_be_half_a_step_from_its_integer() -> None:
    reals, integers = np.array([0.25, 0.26, -0.25]), np.array([1, 1, 0], np.int8)
    unequal, steps = differing(reals, integers, Positions(None, 1))
    assert unequal.tolist() == [False, False, False]
    assert steps.tolist() == pytest.approx([0.5, 0.48, 0.5])
    assert differing(np.array([0.24, np.nan]), np.array([1, 0], np.int8), Positions(None, 1))[0].all()


def test_real_numbers_differ_relative_to_the_largest() -> None:
    first, second = np.array([1000.0, 0.0, np.nan]), np.array([1000.0, 0.009, np.nan])
    assert not differing(first, second, Positions(None, None), 1e-5)[0].any()
    assert differing(first, second, Positions(None, None), 1e-6)[0].tolist() == [False, True, False]
    assert differing(first, np.array([np.nan, 0.0, 0.0]), Positions(None, None))[0].tolist() == [
        True,
        False,
        True,
    ]
    both = np.array([np.inf])
    assert not differing(both, both, Positions(None, None))[0].any()


def test_an_element_counts_samples_from_the_start() -> None:
    first, second = np.array([[1, 2]], np.int8), np.array([[1, 5]], np.int8)
    found = element(first, second, Positions(3, 3), (0, 1), sample=4)
    assert (found.index, found.first, found.second, found.steps) == ((4, 1), 2, 5, 3.0)
    assert steps_between(first, second, Positions(None, None)).tolist() == [[0.0, 3.0]]

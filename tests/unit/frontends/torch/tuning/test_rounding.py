from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.tuning.rounding import (
    Steps,
    around,
    damped,
    descend_rows,
    inverse_factor,
    round_rows,
)


def cost(
    rows: NDArray[np.float64], wanted: NDArray[np.float64], gram: NDArray[np.float64]
) -> NDArray[np.float64]:
    off = rows - wanted
    return np.asarray(np.einsum("gok,gkl,gol->go", off, gram, off))


def problem(seed: int, groups: int, rows: int, columns: int, step: float) -> tuple[NDArray[np.float64], ...]:
    draw = np.random.default_rng(seed)
    data = draw.normal(size=(groups, 2 * columns, columns)) @ draw.normal(size=(groups, columns, columns))
    gram = damped(data.transpose(0, 2, 1) @ data)
    return draw.normal(size=(groups, rows, columns)), gram, np.full((groups, rows), step)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 4), st.integers(1, 6))
def test_on_the_grid_and_no_single_step_is_better(seed: int, groups: int, rows: int, columns: int) -> None:
    wanted, gram, step = problem(seed, groups, rows, columns, 0.5)
    found = round_rows(wanted, gram, Steps(step, -3, 2))
    numbers = found / 0.5
    np.testing.assert_array_equal(numbers, np.rint(numbers))
    assert numbers.min() >= -3
    assert numbers.max() <= 2
    least = cost(found, wanted, gram)
    for k, delta in product(range(columns), (-0.5, 0.5)):
        other = found.copy()
        other[:, :, k] = np.clip(other[:, :, k] + delta, -1.5, 1.0)
        assert (cost(other, wanted, gram) >= least - 1e-9 * (1 + least)).all()


def test_better_than_the_nearest_integers_and_near_the_best() -> None:
    wanted, gram, step = problem(1, 1, 200, 3, 1.0)
    found = cost(round_rows(wanted, gram, Steps(step, -8, 7)), wanted, gram)
    nearest = cost(np.rint(wanted), wanted, gram)
    near = [np.rint(wanted) + np.array(delta) for delta in product((-2, -1, 0, 1, 2), repeat=3)]
    best = np.min([cost(rows, wanted, gram) for rows in near], axis=0)
    assert found.sum() < 0.5 * nearest.sum()
    assert found.sum() < 1.5 * best.sum()


def test_a_step_for_each_row() -> None:
    wanted, gram, _ = problem(2, 2, 3, 4, 1.0)
    step = np.array([[0.25, 0.5, 1.0], [2.0, 0.125, 0.5]])
    numbers = round_rows(wanted, gram, Steps(step, -128, 127)) / step[:, :, None]
    np.testing.assert_array_equal(numbers, np.rint(numbers))


def test_descent_moves_to_what_is_pulled_at() -> None:
    gram, pull = np.eye(2)[None], np.array([[[1.2, -0.7]]])
    found = descend_rows(np.zeros((1, 1, 2)), gram, pull, Steps(np.ones((1, 1)), -8, 7))
    np.testing.assert_array_equal(found, [[[1.0, -1.0]]])


def test_many_rows_are_shared_among_threads_with_the_same_result() -> None:
    wanted, gram, step = problem(3, 1, 300, 80, 0.25)
    whole = round_rows(wanted, gram, Steps(step, -8, 7))
    alone = round_rows(wanted[:, 250:], gram, Steps(step[:, 250:], -8, 7))
    np.testing.assert_array_equal(whole[:, 250:], alone)


@pytest.mark.parametrize("columns", [1, 2, 7])
def test_the_factor_of_the_inverse(columns: int) -> None:
    _, gram, _ = problem(4, 3, 1, columns, 1.0)
    factor = inverse_factor(gram)
    np.testing.assert_allclose(
        factor.transpose(0, 2, 1) @ factor @ gram, np.broadcast_to(np.eye(columns), gram.shape), atol=1e-8
    )
    np.testing.assert_array_equal(factor, np.triu(factor))


def test_held_to_the_two_nearest_steps() -> None:
    wanted, gram, step = problem(3, 2, 3, 5, 0.5)
    real = wanted + 0.1
    found = round_rows(wanted, gram, around(Steps(step, -8, 7), real))
    assert (np.abs(found - real) < 0.5).all()
    free = round_rows(wanted, gram, Steps(step, -8, 7))
    assert cost(free, wanted, gram).sum() < cost(found, wanted, gram).sum()

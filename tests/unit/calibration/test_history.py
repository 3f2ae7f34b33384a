"""Statistics over the ranges of batches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quantforge.calibration.history import History, averages, needs_history, same_ranges
from quantforge.calibration.methods import RangeMethod, ScaleKind, Statistic
from quantforge.calibration.sketch import Extent
from quantforge.diagnostics import InternalError
from quantforge.quantization.recipe import TensorRule


def history(*ends: tuple[float, float]) -> History:
    made = History()
    for lo, hi in ends:
        made.append(Extent(lo, hi))
    return made


BATCHES = history((-1.0, 2.0), (-4.0, 4.0), (-1.0, 2.0), (-2.0, 8.0))


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        (Statistic.MEAN, Extent(-2.0, 4.0)),
        (Statistic.MEDIAN, Extent(-1.5, 3.0)),
        (Statistic.MAX, Extent(-4.0, 8.0)),
        (Statistic.MOST_COMMON, Extent(-1.0, 2.0)),
    ],
)
def test_statistics(statistic: Statistic, expected: Extent) -> None:
    assert BATCHES.combined(statistic) == expected


def test_the_median_of_positions_is_one_that_occurred() -> None:
    assert BATCHES.combined(Statistic.MEDIAN, ScaleKind.POWER_OF_TWO) == Extent(-4.0, 4.0)


def test_the_widest_of_equally_common_ranges_wins() -> None:
    assert history((-1.0, 1.0), (-2.0, 2.0)).combined(Statistic.MOST_COMMON) == Extent(-2.0, 2.0)
    near = history((-1.0, 1.0), (-1.001, 1.0), (-3.0, 3.0))
    assert near.combined(Statistic.MOST_COMMON) == Extent(-1.001, 1.0)
    assert history((0.0, 0.0), (0.0, 0.0), (0.0, 1.0)).combined(Statistic.MOST_COMMON) == Extent(0.0, 0.0)


def test_the_moving_average_starts_from_the_first_batch() -> None:
    found = history((0.0, 1.0), (0.0, 2.0), (-1.0, 2.0)).averaged(0.1)
    assert (found.lo, found.hi) == (pytest.approx(-0.1), pytest.approx(1.19))


def test_batches_without_values_are_left_out() -> None:
    made = history((0.0, 1.0))
    made.append(Extent())
    assert len(made) == 1
    assert History().combined(Statistic.MEAN).empty and History().averaged(0.5).empty


def test_tensors_with_one_spec_are_joined_batch_by_batch() -> None:
    joined = history((-1.0, 1.0), (0.0, 3.0)).joined(history((0.0, 2.0), (-5.0, 1.0)))
    assert joined.ends.tolist() == [[-1.0, 2.0], [-5.0, 3.0]]
    with pytest.raises(InternalError, match=r"Q0219 tensors with one spec: found 1 and 0 batches"):
        history((0.0, 1.0)).joined(History())


def test_which_rules_need_a_history() -> None:
    assert not needs_history(TensorRule())
    assert needs_history(TensorRule(statistic=Statistic.MEAN))
    assert averages(TensorRule(moving_average=0.01)) and needs_history(TensorRule(moving_average=0.01))
    assert not averages(TensorRule(method=RangeMethod.ENTROPY, moving_average=0.01))


def test_which_rules_share_a_history() -> None:
    assert same_ranges(TensorRule(statistic=Statistic.MEAN), TensorRule(statistic=Statistic.MAX))
    assert same_ranges(TensorRule(percentile=90), TensorRule(percentile=99))  # min-max does not look at it
    percentile = TensorRule(method=RangeMethod.PERCENTILE)
    assert not same_ranges(percentile, TensorRule(method=RangeMethod.PERCENTILE, percentile=99))
    assert not same_ranges(percentile, TensorRule())
    assert same_ranges(percentile, replace(percentile, slack=0.1))  # only mse looks at it
    error = TensorRule(method=RangeMethod.MSE)
    assert not same_ranges(error, replace(error, slack=0.1))

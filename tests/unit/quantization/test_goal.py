"""What meets a goal, what leaves room for it, and goals that cannot be judged."""

from __future__ import annotations

import math

import pytest

from quantforge.diagnostics import InputError
from quantforge.quantization.goal import Figures, Goal


def test_points_are_of_accuracy_where_labels_are_known() -> None:
    assert Figures(200, 30.0, 0.9).drop == pytest.approx(10.0)
    assert Figures(200, 30.0, 0.9, 0.80, 0.79).drop == pytest.approx(1.0)
    assert Figures(200, 30.0).drop is None


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal(1.0), True),
        (Goal(0.9), False),
        (Goal(None, 30.0), True),
        (Goal(None, 30.1), False),
        (Goal(5.0, 31.0), False),
    ],
)
def test_met(goal: Goal, met: bool) -> None:
    assert goal.met_by(Figures(100, 30.0, 0.99)) is met


def test_a_network_that_is_no_number_meets_nothing() -> None:
    assert not Goal(None, 10.0).met_by(Figures(10, math.nan))


def test_points_of_what_classifies_nothing() -> None:
    with pytest.raises(InputError, match="Q0526"):
        Goal(0.5).met_by(Figures(10, 30.0))


@pytest.mark.parametrize("given", [{}, {"max_drop": -1.0}, {"max_drop": math.nan}, {"min_sqnr": math.inf}])
def test_no_goal_at_all(given: dict[str, float]) -> None:
    with pytest.raises(InputError, match="Q0526"):
        Goal(**given)


def test_room() -> None:
    assert Goal(None, 27.0).leaves_room(Figures(10, 30.0)) and not Goal(None, 27.1).leaves_room(
        Figures(10, 30.0)
    )
    assert Goal(2.0).leaves_room(Figures(100, 30.0, 0.99)) and not Goal(1.0).leaves_room(
        Figures(100, 30.0, 0.99)
    )


def test_nearest_by_points_then_by_sqnr() -> None:
    goal, rows = Goal(1.0), [Figures(10, 40.0, 0.8), Figures(10, 20.0, 0.9), Figures(10, 25.0, 0.9)]
    assert min(rows, key=goal.shortfall) is rows[2]
    assert str(Goal(0.5, 30.0)) == "at most 0.5 points of top-1 lost and SQNR of at least 30 dB"

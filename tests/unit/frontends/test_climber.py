"""Where the walk stops, what it keeps, and that a wide pool finds the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from quantforge.distribution.pool import LocalPool, Pool
from quantforge.frontends import climber
from quantforge.frontends.climber import Climber
from quantforge.frontends.ladder_state import LadderState
from quantforge.frontends.rungs import Outcome, Trial
from quantforge.quantization.goal import Figures, Goal
from quantforge.quantization.ladder import STEPS, Step
from quantforge.quantization.recipe import DPU_CNN, Recipe
from quantforge.quantization.sensitivity import Layer
from tests.unit.frontends.digits import trial

LAYERS = tuple((Layer(f"c{i}", "conv2d", (f"c{i}",), f"y{i}"), 1 / 6) for i in range(6))


def scored(trial: Trial, recipe: Recipe) -> Outcome:
    """Decibels by recipe: equalization harms, bias correction helps, a wide layer gives two, a float one three."""
    wide = {o.tensor for o in recipe.overrides if o.tensor is not None}
    floats = {o.op for o in recipe.overrides if o.keep_float}
    db = (
        20.0
        - 2.0 * (recipe.equalize is not None)
        + 1.0 * recipe.correct_bias
        + 2.0 * len(wide)
        + 3.0 * len(floats)
    )
    return Outcome(Figures(32, db, min(1.0, db / 40.0)), 0.0)


class WidePool(LocalPool):
    width = 3

    def map(self, function: Callable[..., Any], shared: Any, items: Sequence[Any]) -> list[Any]:
        self.asked = [*getattr(self, "asked", []), len(items)]
        return super().map(function, shared, items)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(climber, "run_rung", scored)
    monkeypatch.setattr(climber, "STEPS", STEPS[:2])
    monkeypatch.setattr(Climber, "_ranked", lambda self, recipe: LAYERS)


def climbed(goal: Goal, pool: Pool | None = None, state: LadderState | None = None) -> tuple[str, Climber]:
    walk = Climber(trial(), goal, DPU_CNN, state or LadderState(None, "key"), pool or LocalPool())
    return walk.climb().plan.name, walk


@pytest.mark.parametrize(
    ("least", "name"),
    [
        (20.0, "base"),
        (21.0, "bias-correct"),
        (23.0, "16-bit 1"),
        (25.5, "16-bit 3"),
        (33.0, "16-bit 6"),
        (34.0, "float 1"),
    ],
)
def test_the_first_rung_that_meets_the_goal(least: float, name: str) -> None:
    found, walk = climbed(Goal(min_sqnr=least))
    assert found == walk.reports[-1].name == name and walk.reports[-1].met
    assert not any(report.met for report in walk.reports[:-1])


def test_a_step_that_does_not_help_is_left_out() -> None:
    _, walk = climbed(Goal(min_sqnr=23.0))
    assert [(report.name, report.kept) for report in walk.reports] == [
        ("base", True),
        ("equalize", False),
        ("bias-correct", True),
        ("16-bit 1", True),
    ]
    assert walk.taken[-1].plan.recipe.equalize is None and walk.taken[-1].plan.recipe.correct_bias
    assert walk.reports[-1].remark == "c0"


def test_widths_that_cannot_suffice_are_left_out() -> None:
    found, walk = climbed(
        Goal(min_sqnr=30.0)
    )  # 9 dB more than 21: of six equal layers five, less 3 dB of slack
    assert found == "16-bit 6" and [report.name for report in walk.reports[3:]] == ["16-bit 6"]
    _, walk = climbed(Goal(min_sqnr=25.5))  # 4.5 dB more, less 3: two layers
    assert [report.name for report in walk.reports[3:]] == ["16-bit 2", "16-bit 3"]


def test_the_nearest_where_none_meets_it() -> None:
    found, walk = climbed(Goal(min_sqnr=99.0))
    assert found == "float 6" and not walk.report(walk.taken[-1]).met
    assert walk.report(walk.taken[-1]).judged_on.startswith("32 samples (")


def test_points_of_top_1() -> None:
    found, _ = climbed(Goal(max_drop=25.0))
    assert found == "16-bit 6"  # 33 of 40 agree; after four layers 29 do


def test_a_wide_pool_finds_the_same() -> None:
    pool = WidePool()
    alone, walk = climbed(Goal(min_sqnr=25.5))
    together, wide = climbed(Goal(min_sqnr=25.5), pool)
    assert together == alone and 3 in pool.asked
    assert [r.name for r in wide.reports] == [r.name for r in walk.reports]


def test_finished_rungs_are_not_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    state = LadderState(None, "key")
    found, _ = climbed(Goal(min_sqnr=25.5), state=state)
    monkeypatch.setattr(climber, "run_rung", lambda trial, recipe: pytest.fail("taken again"))
    again, walk = climbed(Goal(min_sqnr=25.5), state=state)
    assert again == found and all(report.resumed for report in walk.reports)


def test_steps_that_cannot_be_taken_or_gain_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    correct = STEPS[1]
    steps = (Step("other", correct.lay, "no_such_package"), dataclasses.replace(correct, least_gain=2.0))
    monkeypatch.setattr(climber, "STEPS", steps)
    heard: list[str] = []
    walk = Climber(
        trial(),
        Goal(min_sqnr=22.0),
        DPU_CNN,
        LadderState(None, ""),
        LocalPool(),
        lambda r: heard.append(r.name),
    )
    assert walk.climb().plan.name == "16-bit 1"
    assert [(r.name, r.kept, r.remark) for r in walk.reports[:3]] == [
        ("base", True, ""),
        ("other", False, "no_such_package is not installed"),
        ("bias-correct", False, ""),
    ]
    assert heard == [report.name for report in walk.reports]

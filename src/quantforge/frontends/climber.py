"""The walk up the ladder: which rung comes next, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from quantforge.calibration.split import split
from quantforge.distribution.pool import Pool
from quantforge.frontends.ladder_state import LadderState, Ranking
from quantforge.frontends.layers import rank_layers
from quantforge.frontends.rungs import Outcome, Trial, judged, quantized_by, run_rung
from quantforge.passes.pipeline import prepare
from quantforge.quantization.flow import preparation
from quantforge.quantization.goal import Goal
from quantforge.quantization.ladder import (
    BASE,
    FLOATS,
    KEEP_RELU6,
    STEPS,
    WIDE,
    base_recipe,
    kept_float,
    widened,
    widening,
)
from quantforge.quantization.ladder_report import LadderReport, RungReport
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.sensitivity import Layer

SLACK_DB = 3.0  # the ranking may promise so much less than widening gives

RungListener = Callable[[RungReport], None]


@dataclass(frozen=True)
class Plan:
    """A rung to be taken; `remark` names the layers that it widens beyond the rung before."""

    name: str
    recipe: Recipe
    remark: str = ""


@dataclass(frozen=True)
class Rung:
    """A rung that was taken, now or by an earlier run."""

    plan: Plan
    outcome: Outcome
    resumed: bool


@dataclass
class Climber:
    """The state of one climb.

    Attributes:
        trial: What all rungs have in common.
        goal: What has to be reached.
        asked: The recipe that the rungs are made from.
        state: Rungs of earlier runs.
        pool: Where rungs happen.
        listener: Told of every rung.
        reports: What happened so far.
        taken: The rungs so far.
    """

    trial: Trial
    goal: Goal
    asked: Recipe
    state: LadderState
    pool: Pool
    listener: RungListener | None = None
    reports: list[RungReport] = field(default_factory=list)
    taken: list[Rung] = field(default_factory=list)

    def climb(self) -> Rung:
        """The first rung that meets the goal, or the nearest to it."""
        best = self._steps()
        if self._met(best):
            return best
        start = self._with_room(best)
        if self._met(start):
            return start
        for rung in self._take(self._wider(start)):
            if self._met(rung):
                return rung
        return min(self.taken, key=lambda rung: self.goal.shortfall(rung.outcome.figures))

    def report(self, chosen: Rung) -> LadderReport:
        """All rungs so far, and which was chosen."""
        part = split(self.trial.source(), self.trial.hold_out)[1]
        words = f"{chosen.outcome.figures.samples} samples ({part.description})"
        return LadderReport(str(self.goal), self._met(chosen), chosen.plan.name, words, tuple(self.reports))

    def _steps(self) -> Rung:
        """The steps up to the first that meets the goal; else the best of them."""
        best = next(self._take([Plan(BASE, base_recipe(self.asked, self.trial.hold_out))]))
        for step in STEPS:
            if self._met(best):
                break
            if not step.suits(self.asked):
                continue
            missing = step.missing()
            if missing is not None:
                self._say(RungReport(step.name, remark=missing))
                continue
            plan = Plan(step.name, step.lay(best.plan.recipe, self.asked))
            at_least = best.outcome.figures.sqnr_db + step.least_gain
            rung = next(self._take([plan], at_least))
            best = rung if self.reports[-1].kept else best
        return best

    def _with_room(self, best: Rung) -> Rung:
        """`best`, or the same with relu6 where the float network without it is no match for the goal."""
        recipe = best.plan.recipe
        if not recipe.replace_relu6:
            return best
        prepared = quantized_by(self.trial, replace(recipe, finetune=None)).base
        if self.goal.leaves_room(judged(self.trial, prepared)):
            return best
        return next(self._take([Plan(KEEP_RELU6, replace(recipe, replace_relu6=False))]))

    def _ranked(self, recipe: Recipe) -> Ranking:
        """The layers of the model by `recipe`, the worst first, with their shares of the noise."""
        known = self.state.ranking(recipe)
        if known is not None:
            return known
        found, trial = quantized_by(self.trial, replace(recipe, finetune=None)), self.trial
        rows = rank_layers(found, trial.executor, trial.source(), trial.hold_out, None, self.pool)
        layers = tuple((row.layer, row.share) for row in rows)
        self.state.keep_ranking(recipe, layers)
        return layers

    def _wider(self, start: Rung) -> Iterator[Plan]:
        """More and more layers of 16 bits, then more and more of those in float, as long as any is left.

        Widths are left out with which, by the ranking, the SQNR stays far below the goal.
        """
        recipe = start.plan.recipe
        ranked = self._ranked(recipe)
        layers = tuple(layer for layer, _ in ranked)
        least = self._least_width(start, ranked)
        parts = (part for part in widening(layers) if len(part) >= least)
        yield from _plans(WIDE, parts, lambda part: widened(recipe, part))
        wide = widened(recipe, layers)
        for plan in _plans(FLOATS, widening(layers), lambda part: kept_float(wide, part)):
            prepared = prepare(self.trial.graph, preparation(plan.recipe)).graph
            if not place(prepared, plan.recipe).weights:
                return
            yield plan

    def _least_width(self, start: Rung, ranked: Ranking) -> int:
        """The fewest layers to widen: without their shares of the noise the SQNR is within `SLACK_DB` of the goal."""
        if self.goal.min_sqnr is None:
            return 1
        missing = self.goal.min_sqnr - SLACK_DB - start.outcome.figures.sqnr_db
        left, least = 1.0, 0
        while left > 10.0 ** (-missing / 10.0) and least < len(ranked):
            left -= ranked[least][1]
            least += 1
        return least

    def _take(self, plans: Iterable[Plan], at_least: float = -math.inf) -> Iterator[Rung]:
        """Take rungs in their order, as many side by side as the pool does; stop asking to stop taking.

        Those that neither meet the goal nor have an SQNR above `at_least` decibels are not kept.
        """
        waiting = iter(plans)
        while now := list(islice(waiting, self.pool.width)):
            for rung in self._side_by_side(now):
                kept = self._met(rung) or rung.outcome.figures.sqnr_db > at_least
                figures, seconds = rung.outcome.figures, rung.outcome.seconds
                self.taken.append(rung)
                self._say(
                    RungReport(
                        rung.plan.name,
                        figures,
                        seconds,
                        self._met(rung),
                        kept,
                        rung.plan.remark,
                        rung.resumed,
                    )
                )
                yield rung

    def _side_by_side(self, plans: Sequence[Plan]) -> list[Rung]:
        known = [self.state.outcome(plan.recipe) for plan in plans]
        todo = [plan.recipe for plan, outcome in zip(plans, known, strict=True) if outcome is None]
        fresh = iter(self.pool.map(run_rung, self.trial, todo))
        rungs = []
        for plan, outcome in zip(plans, known, strict=True):
            rungs.append(Rung(plan, next(fresh) if outcome is None else outcome, outcome is not None))
            if outcome is None:
                self.state.keep(plan.recipe, rungs[-1].outcome)
        return rungs

    def _met(self, rung: Rung) -> bool:
        return self.goal.met_by(rung.outcome.figures)

    def _say(self, report: RungReport) -> None:
        self.reports.append(report)
        if self.listener is not None:
            self.listener(report)


def _plans(
    name: str, parts: Iterable[Sequence[Layer]], lay: Callable[[Sequence[Layer]], Recipe]
) -> Iterator[Plan]:
    """A rung for each of `parts`, which grow."""
    before = 0
    for part in parts:
        added = ", ".join(layer.name for layer in part[before:])
        yield Plan(f"{name} {len(part)}", lay(part), added)
        before = len(part)

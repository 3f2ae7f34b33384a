"""Finds the constants of the cost model from published figures: robust least squares of the logarithm of the ratio.

Everything is computed by the product's own code: cycles are linear in the inverse rates, so that one call with all
rates at 1 gives the parts of a layer, and a fit only scales and joins them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from bench.cost_rows import Row
from quantforge.compiler.cost import layer_cost
from quantforge.compiler.cost_constants import TASKS, Constants
from quantforge.compiler.cost_model import Node
from quantforge.targets.dpu import DpuTarget, load_dpu

Floats = NDArray[np.float64]
RATES = ("conv", "misc", "weights", "load", "join", "save", "fixed")
START = (1.1, 1.0, 1.5, 1.0, 0.5, 0.8, 1000.0)
LOW = (1.0, 0.5, 0.25, 0.25, 0.1, 0.25, 0.0)
HIGH = (2.0, 5.0, 4.0, 4.0, 4.0, 4.0, 20000.0)
UNIT = Constants(1, 0, 1, 1, 1, 1, 0, "unit")


@dataclass(frozen=True)
class Parts:
    """Layers as arrays: cycles at rate 1 of convolutions, other engines, weights, inputs, joins and outputs."""

    conv: Floats
    misc: Floats
    weights: Floats
    load: Floats
    join: Floats
    save: Floats

    def alone(self, rates: Constants) -> Floats:
        """Cycles of every layer as a job of its own."""
        compute, memory, join = self._scaled(rates)
        scaled: Floats = rates.fixed + join + np.hypot(compute, memory)
        return scaled

    def program(self, rates: Constants) -> float:
        """Cycles of all layers in one program."""
        compute, memory, join = self._scaled(rates)
        return float(rates.fixed + np.sum(join + np.maximum(compute, memory)))

    def _scaled(self, rates: Constants) -> tuple[Floats, Floats, Floats]:
        compute = rates.conv * self.conv + rates.misc * self.misc
        memory = self.weights / rates.weights + self.load / rates.load + self.save / rates.save
        return compute, memory, self.join / rates.join


def parts(nodes: Sequence[Node], target: DpuTarget) -> Parts:
    """The parts of the layers on a DPU."""
    rows = []
    for node in nodes:
        one = layer_cost(node.work, target, constants=UNIT)
        both = layer_cost(node.work, target, constants=replace(UNIT, misc=1.0))
        no_weights = layer_cost(replace(node.work, weights_in_ddr=False), target, constants=UNIT)
        rows.append(
            (
                one.compute_cycles, both.compute_cycles - one.compute_cycles,
                one.load_cycles - no_weights.load_cycles, no_weights.load_cycles, one.join_cycles, one.save_cycles,
            )
        )  # fmt: skip
    return Parts(*np.array(rows, np.float64).T)


def robust(predict: Callable[[Floats], Floats], truth: Floats, bounds: tuple[Floats, Floats], start: Floats,
           weights: Floats | None = None) -> Floats:  # fmt: skip
    """Parameters with log(predicted / true) nearest to 0; errors beyond a tenth count less than their square."""
    scale = np.ones(len(truth)) if weights is None else np.sqrt(weights)
    found: Floats = least_squares(
        lambda x: scale * np.log(predict(x) / truth), start, bounds=bounds, loss="soft_l1", f_scale=0.1,
        x_scale=np.maximum(start, 1e-3),
    ).x  # fmt: skip
    return found


def fit_tables(tables: Sequence[tuple[Parts, Floats]], source: str = "fit") -> Constants:
    """All seven rates from tables of layers, each a job of its own; the truth is in cycles."""
    truth = np.concatenate([cycles for _, cycles in tables])

    def predict(x: Floats) -> Floats:
        rates = Constants(*x, source=source)
        return np.concatenate([table.alone(rates) for table, _ in tables])

    bounds = (np.array(LOW), np.array(HIGH))
    return Constants(*(float(v) for v in robust(predict, truth, bounds, np.array(START))), source=source)


@dataclass(frozen=True)
class Case:
    """A published row of a network whose layers are known."""

    row: Row
    parts: Parts


@dataclass(frozen=True)
class Whole:
    """Rates of the DPU and what the host adds, for calls of whole models."""

    rates: Constants
    call: float
    per_megapixel: float

    def ms(self, case: Case) -> float:
        """Predicted milliseconds of a call."""
        row = case.row
        dpu = case.parts.program(self.rates) / ((row.target.frequency_mhz or 0) * 1e3)
        host = row.images * (self.call + self.per_megapixel * row.megapixels)
        return dpu + host * (row.scope != "dpu")


def fit_host(cases: Sequence[Case], rates: Constants) -> Whole:
    """The two constants of the host, given those of the DPU."""
    bare = np.array([Whole(rates, 0, 0).ms(case) for case in cases])
    images = np.array([case.row.images for case in cases], np.float64)
    pixels = np.array([case.row.megapixels for case in cases])
    truth = np.array([case.row.ms for case in cases])
    bounds = (np.zeros(2), np.array([50.0, 500.0]))
    x = robust(
        lambda x: bare + images * (x[0] + x[1] * pixels), truth, bounds, np.array([0.5, 5.0]), _evenly(cases)
    )
    return Whole(rates, float(x[0]), float(x[1]))


def fit_family(cases: Sequence[Case], base: Constants) -> Whole:
    """Two constants of another family (engines, a factor on all memory rates) and two of its host.

    The figures hardly depend on memory there, so that inputs are only kept from being loaded faster than the board's
    memory allows.
    """
    board = load_dpu("VCK190")
    per_cycle = (board.bandwidth_mb_s or 0) / (board.frequency_mhz or 1)
    most = per_cycle / (board.load_parallel or 1) / base.load
    truth = np.array([case.row.ms for case in cases])

    def whole(x: Floats) -> Whole:
        ports = {key: getattr(base, key) * float(x[1]) for key in ("weights", "load", "join", "save")}
        return Whole(
            replace(base, conv=float(x[0]), misc=float(x[0]), fixed=0.0, **ports), float(x[2]), float(x[3])
        )

    bounds = (np.array([0.2, 0.1, 0.0, 0.0]), np.array([20.0, most, 50.0, 500.0]))
    x = robust(
        lambda x: np.array([whole(x).ms(case) for case in cases]), truth, bounds,
        np.array([1.5, 2.0, 0.3, 5.0]), _evenly(cases),
    )  # fmt: skip
    return whole(x)


def _evenly(cases: Sequence[Case]) -> Floats:
    """Weights that make every model count as one, however often it was published."""
    names = [case.row.name for case in cases]
    return np.array([1 / names.count(name) for name in names])


def fit_start(table: Parts, cycles: Floats, base: Constants) -> Constants:
    """Only the start of a job, everything else as in `base`."""
    start = robust(
        lambda x: table.alone(replace(base, fixed=float(x[0]))),
        cycles,
        (np.zeros(1), np.array([2e5])),
        np.array([2e4]),
    )
    return replace(base, fixed=float(start[0]))


def totals_features(rows: Sequence[Row]) -> Floats:
    """Per row what the constants of `Totals` multiply, in their order."""
    found = []
    for row in rows:
        target = row.target
        clock = target.aie_frequency_mhz or target.frequency_mhz or 0
        peak = row.gops * 1e6 / (target.peak_ops_per_cycle * clock)
        maps = (row.gops * row.megapixels) ** 0.5 * 300 / (target.frequency_mhz or 300)
        pixels = [row.images * row.megapixels * (row.task == task) for task in TASKS]
        host = (row.images, *pixels) if row.scope != "dpu" else (0, 0, 0, 0)
        found.append((peak, maps, *host))
    return np.array(found, np.float64)


def fit_totals(rows: Sequence[Row]) -> Floats:
    """The constants of the estimate that knows only operations, input size and task."""
    features, truth = totals_features(rows), np.array([row.ms for row in rows])
    names = [row.name for row in rows]
    weights = np.array([1 / names.count(name) for name in names])
    bounds = (np.array([1.0, 0, 0, 0, 0, 0]), np.array([20.0, 50.0, 50.0, 500.0, 500.0, 500.0]))
    start = np.array([1.3, 1.0, 0.3, 10.0, 10.0, 10.0])
    return robust(lambda x: features @ x, truth, bounds, start, weights)

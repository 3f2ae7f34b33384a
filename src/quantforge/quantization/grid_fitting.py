"""Values scaled so that they fill their power-of-two grids.

What: a tensor that reaches to 5 and one that reaches to 7.9 both need a grid that reaches to 8, and the first gets
coarser steps, measured by its own size. Where layers can make up for it (`passes.scale_groups`) each group of values
is multiplied by 2^(k/16), with k chosen so that the sum of relative squared errors is least,
    sum over values  e(x 2^(k/16))  +  WEIGHTS * sum over layers  e(W 2^((k_out - k_in)/16)),
    e(x) = least over positions of  |Q(x) - x|^2 / |x|^2,
by coordinate descent over the groups. e repeats itself every 16 steps, so a table of 16 numbers says all of a tensor.
Why: up to 6 dB per tensor lie in that factor, 2 to 3 dB on average, at no cost when the network runs.
Cost: a run of a few samples, and 48 roundings of a few ten thousand numbers per tensor.
When it hurts: weights may end up on worse grids than before, which their rounding has to make up for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from quantforge.calibration.methods import ScaleKind
from quantforge.graph import Array, Graph
from quantforge.graph.execution import Executor, Feeds, sample_count
from quantforge.numerics.formats import IntFormat
from quantforge.passes.equalize_layers import ChannelGroup, channel_groups
from quantforge.passes.result import PassResult
from quantforge.passes.scale_groups import scale_groups
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import Recipe, TensorRule
from quantforge.quantization.rules import weight_rule

STEPS = 16  # factors tried per octave
PICKED = 65_536  # numbers looked at per tensor
WEIGHTS = 0.25  # how much an error of weights counts beside one of values: their rounding is chosen later on
SWEEPS = 6
ROOM, FEWEST = 1.6, 64  # see `room`
Table = NDArray[np.float64]  # [STEPS]


def fit_grids(
    graph: Graph, executor: Executor, samples: Sequence[Feeds], places: Places, recipe: Recipe
) -> PassResult:
    """`graph` with groups of values scaled; only those whose layers can take it back, on power-of-two grids."""
    rules = {name: group.rule for group in places.groups for name in group.values}
    groups = [
        group for group in channel_groups(graph)[0] if any(_fits(rules.get(name)) for name in group.values)
    ]
    names = [name for group in groups for name in group.values if _fits(rules.get(name))]
    picked = pick(executor, graph, names, samples) if names else {}
    reach = room(sum(map(sample_count, samples)))
    values = [
        sum(
            (
                grid_errors(reach * picked[name], _bits(rules[name]))
                for name in group.values
                if name in picked
            ),
            _nothing(),
        )
        for group in groups
    ]
    layers = list(dict.fromkeys(name for group in groups for name in (*group.heads, *group.tails)))
    weights = {name: WEIGHTS * _weight_errors(graph, name, recipe) for name in layers}
    steps = balance(groups, values, weights)
    return scale_groups(
        graph, {g: np.array([2.0 ** (k / STEPS)]) for g, k in zip(groups, steps, strict=True)}
    )


def grid_errors(x: Array, bits: int) -> Table:
    """e(x 2^(k/16)) for k = 0..15, for signed integers of `bits` bits.

    >>> int(grid_errors(np.linspace(0, 5, 1000), 8).argmin())  # 5 * 2^(10/16) is 7.7, and the grid ends at 7.9
    10
    """
    x = np.asarray(x, np.float32).reshape(-1)
    size, energy = float(np.abs(x).max(initial=0.0)), float(np.square(x, dtype=np.float64).sum())
    if size == 0.0 or not np.isfinite(energy) or energy == 0.0:
        return _nothing()
    low, high = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    return np.array([
        min(_squared_error(x * np.float32(unit), low, high) / unit**2 for unit in units) / energy
        for units in _units(size, high)
    ])  # fmt: skip


def _units(size: float, high: float) -> Iterator[list[float]]:
    """For each factor: steps per unit on the finest grid without saturation, and on two finer ones."""
    for k in range(STEPS):
        factor = 2.0 ** (k / STEPS)
        top = np.floor(np.log2(high / (size * factor)))
        yield [factor * 2.0 ** (top + finer) for finer in range(3)]


def _squared_error(numbers: NDArray[np.float32], low: float, high: float) -> float:
    off = np.clip(np.rint(numbers), low, high) - numbers
    return float(np.dot(off, off))


def room(samples: int) -> float:
    """How many times as far as those of so many samples the values of samples to come are taken to reach.

    >>> room(8), room(256)
    (1.2, 1.1)
    """
    return 1.0 + ROOM / math.sqrt(max(samples, FEWEST))


def pick(executor: Executor, graph: Graph, names: list[str], samples: Sequence[Feeds]) -> Mapping[str, Array]:
    """Some numbers of each value, drawn evenly from all samples."""
    session, draw = executor.session(graph, names, brief=True), np.random.default_rng(0)
    found: dict[str, list[Array]] = {name: [] for name in names}
    total = sum(map(sample_count, samples))
    for feeds in samples:
        share = -(-PICKED * sample_count(feeds) // total)
        for name, array in session.run(feeds).items():
            flat = array.reshape(-1)
            found[name].append(flat[draw.integers(0, max(flat.size, 1), share)] if flat.size else flat)
    return {name: np.concatenate(rows) for name, rows in found.items() if rows}


def balance(
    groups: Sequence[ChannelGroup], values: Sequence[Table], weights: Mapping[str, Table]
) -> list[int]:
    """The step k of each group, within half an octave of none."""
    steps = [0] * len(groups)
    outs = {name: n for n, group in enumerate(groups) for name in group.heads}
    ins = {name: n for n, group in enumerate(groups) for name in group.tails}

    def cost(n: int, k: int) -> float:
        steps[n] = k
        total = float(values[n][k])
        for name in dict.fromkeys((*groups[n].heads, *groups[n].tails)):
            out, into = (steps[side[name]] if name in side else 0 for side in (outs, ins))
            total += float(weights[name][(out - into) % STEPS])
        return total

    for _ in range(SWEEPS):
        before = list(steps)
        for n in range(len(groups)):
            costs = [cost(n, k) for k in range(STEPS)]
            steps[n] = int(np.argmin(costs))
        if steps == before:
            break
    return [(k + STEPS // 2) % STEPS - STEPS // 2 for k in steps]


def _weight_errors(graph: Graph, name: str, recipe: Recipe) -> Table:
    """e of the weights of a layer; nothing where their scales are free."""
    op = graph.op(name)
    weights, rule = graph.const(op, 1), weight_rule(op, recipe)
    if weights is None or not _fits(rule):
        return _nothing()
    flat = weights.reshape(-1)
    some = flat if flat.size <= PICKED else flat[np.random.default_rng(0).integers(0, flat.size, PICKED)]
    return grid_errors(np.append(some, np.abs(flat).max(initial=0.0)), _bits(rule))


def _fits(rule: TensorRule | None) -> bool:
    """Signed integers on one power-of-two grid."""
    if rule is None or rule.keep_float or rule.per_channel or rule.scales is not ScaleKind.POWER_OF_TWO:
        return False
    return isinstance(rule.format, IntFormat) and rule.format.signed


def _bits(rule: TensorRule) -> int:
    return rule.format.bits


def _nothing() -> Table:
    return np.zeros(STEPS)

"""Saturation in place of relu6: channels scaled so that the grid ends where the clip did.

What: a relu6 that was made a relu, for equalization to pass through it, lets values above 6 pass. Behind it values
are stored with 0..qmax steps, and what exceeds that saturates. Channel c, which equalization scaled by s_c, is
multiplied once more, by
    f_c = top / (6 s_c)    where its values reach 6 s_c on the samples: the grid's end `top` is where its clip was,
    f_c = g                elsewhere, with the g of least squared error for all of them, seen before scaling,
and the relu ends at `top` from then on. The float graph so computes what the model did, and once its values are
stored a plain relu does the same.
Why: on MobileNetV2 half of what fine-tuning leaves comes from relu6 made relu.
Cost: two runs of a few samples.
When it hurts: where samples to come reach 6 in channels that did not; their clip is lost, as it was before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quantforge.calibration.methods import ScaleKind
from quantforge.graph import Array, Graph
from quantforge.graph.execution import Executor, Feeds
from quantforge.numerics.formats import IntFormat
from quantforge.passes.equalize_layers import ChannelGroup, channel_groups
from quantforge.passes.replace_relu6 import NAME as REPLACED
from quantforge.passes.result import Note, PassResult
from quantforge.passes.scale_groups import scale_groups
from quantforge.quantization.equalize import CHANNEL_AXIS, channel_ranges
from quantforge.quantization.grid_fitting import ROOM
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import TensorRule

NAME = "fit-clips"
LIMIT = 6.0
NEAR = 0.95  # of the clip: a channel that gets so far may well reach it
PICKED = 512  # numbers looked at per channel
_FINER = np.arange(10) / 6  # octaves above the scale without saturation that are tried for g
_SMALL = 1e-6


def fit_clips(
    before: Graph, graph: Graph, executor: Executor, samples: Sequence[Feeds], places: Places
) -> PassResult:
    """`graph` with clips in place of relus that were relu6, and channels scaled for them.

    Args:
        before: The same as `graph` before it was equalized.
        graph: Equalized.
        executor: Runs both.
        samples: A few batches.
        places: What is stored, and how.
    """
    rules = {name: group.rule for group in places.groups for name in group.values}
    found = [(group, name) for group in channel_groups(graph)[0] for name in _clipped(graph, group, rules)]
    if not found:
        return PassResult(graph)
    names = [name for _, name in found]
    reach, seen = channel_ranges(executor, graph, names, samples), _seen(executor, graph, names, samples[0])
    scales = _ratios(reach, channel_ranges(executor, before, names, samples))
    factors, ends, notes = {}, {}, []
    for group, name in found:
        values = Channels(seen[name], reach[name], LIMIT * scales[name])
        ends[name] = end = values.end(_steps(rules[name]))
        factors[group] = values.factors(end, _steps(rules[name]))
        notes.append(
            Note(
                NAME,
                group.heads[0],
                True,
                f"{int(values.active.sum())} of {len(reach[name])} channels end at 6",
            )
        )
    scaled = scale_groups(graph, factors)
    for name, end in ends.items():
        op = scaled.graph.producer(name)
        assert op is not None  # noqa: S101  _clipped saw it
        scaled.graph.replace_op(op.changed(NAME, kind="clip", attrs={"min": 0.0, "max": end}))
    return replace(scaled, notes=(*notes, *scaled.notes))


def with_relus(graph: Graph) -> Graph:
    """A copy of a solved `graph` with relus in place of the clips of `fit_clips`: saturation does what they did."""
    graph = graph.copy()
    for op in graph.ops:
        if op.origin.made_by == NAME and op.kind == "clip":
            graph.replace_op(op.changed(NAME, kind="relu", attrs={}))
    return graph


@dataclass(frozen=True)
class Channels:
    """Values of a relu by channel: some [channels, n], the largest of all [channels], and where they clipped."""

    some: NDArray[np.float32]
    largest: NDArray[np.float64]
    clip: NDArray[np.float64]

    @property
    def active(self) -> NDArray[np.bool_]:
        """The channels that reach their clip."""
        return np.asarray(np.isfinite(self.clip) & (self.largest > NEAR * self.clip))

    @property
    def _top(self) -> float:
        return float(np.where(self.active, self.clip, self.largest).max(initial=0.0))

    def end(self, steps: int) -> float:
        """The end of a grid of so many steps that is nearest to the largest value."""
        return (
            float(steps * 2.0 ** np.round(np.log2(self._top / steps))) if self._top > _SMALL else float(steps)
        )

    def factors(self, end: float, steps: int) -> NDArray[np.float64]:
        """f for a grid that ends at `end`."""
        if self._top <= _SMALL:
            return np.ones(len(self.largest))
        held = np.minimum(ROOM * self.some, np.where(self.active, self.clip, np.inf)[:, None])
        tried = [self._factors(end, end / self._top * 2.0**finer) for finer in _FINER]
        return min(tried, key=lambda factors: _error(held, factors, end / steps, steps))

    def _factors(self, end: float, others: float) -> NDArray[np.float64]:
        return np.where(self.active, end / np.where(self.active, self.clip, 1.0), others)


def _error(x: Array, factors: NDArray[np.float64], step: float, steps: int) -> float:
    """Squared error of `x` [channels, n] stored after scaling, seen before it."""
    unit = (factors / step).astype(np.float32)[:, None]
    numbers = x * unit
    off = (np.minimum(np.rint(numbers), steps) - numbers) / unit
    return float(np.vdot(off, off))


def _clipped(graph: Graph, group: ChannelGroup, rules: dict[str, TensorRule]) -> list[str]:
    """The value behind the one relu of a group that was a relu6, where nothing is added to it."""
    ops = [op for name in group.values if (op := graph.producer(name)) is not None]
    found = [op.outputs[0] for op in ops if op.kind == "relu" and op.origin.made_by == REPLACED]
    others = any(
        op.kind in ("relu", "leaky-relu", "eltwise-add") and op.outputs[0] not in found for op in ops
    )
    return found if len(found) == 1 and not others and _fits(rules.get(found[0])) else []


def _fits(rule: TensorRule | None) -> bool:
    """Signed integers on one power-of-two grid, in which everything below zero is idle."""
    if rule is None or rule.keep_float or rule.per_channel or rule.scales is not ScaleKind.POWER_OF_TWO:
        return False
    return isinstance(rule.format, IntFormat) and rule.format.signed


def _steps(rule: TensorRule) -> int:
    assert isinstance(rule.format, IntFormat)  # noqa: S101  _fits saw it
    return rule.format.qmax


def _ratios(
    after: dict[str, NDArray[np.float64]], before: dict[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """What equalization scaled each channel by; infinite where it has no values."""
    return {
        name: np.where(rows > _SMALL, after[name] / np.maximum(rows, _SMALL), np.inf)
        for name, rows in before.items()
    }


def _seen(executor: Executor, graph: Graph, names: list[str], feeds: Feeds) -> dict[str, NDArray[np.float32]]:
    """Some numbers of each channel: [channels, n]."""
    found, draw = {}, np.random.default_rng(0)
    for name, array in executor.session(graph, names, brief=True).run(feeds).items():
        rows = np.moveaxis(np.asarray(array, np.float32), CHANNEL_AXIS, 0).reshape(
            array.shape[CHANNEL_AXIS], -1
        )
        found[name] = rows[:, draw.integers(0, max(rows.shape[1], 1), PICKED)] if rows.shape[1] else rows
    return found

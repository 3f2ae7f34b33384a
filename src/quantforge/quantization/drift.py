"""The drift of values: how far quantization moves their means, followed through operators without weights.

What: drift(x) = E[x'] - E[x] per channel, with x' what the quantized network computes and x what the float one does.
    storing        adds E[Q(x) - x], what the grid of a value does to its mean, and what ties do (`rounding_error`)
    moving         slices, pads, joins, reshapes and resizes a drift as it does data: the operator is run on an image
                   that holds the drift of each channel everywhere, and its result is averaged
    add            sums
    relu           passes the share of its channel's values that are positive; a leaky one also some of the others
    pool, mean     pass on; a DPU's factor N / 2**M in place of 1 / n multiplies the mean itself by n N / 2**M
Any other operator is taken to pass nothing on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.graph import Array, Graph, Op
from quantforge.ops.pooling import dpu_factor
from quantforge.ops.registry import spec
from quantforge.quantization.channel_statistics import ChannelStatistics, Means, channel_axis
from quantforge.quantization.rounding_error import averaged, mean_error_of_ties, unit_of_result
from quantforge.quantization.solve import output_value

RECTIFIERS = ("relu", "relu6", "clip", "leaky-relu", "prelu")
_ROLES_THAT_MOVE = ("move", "join", "pad", "resize")
LEAST_SHARE = 0.2  # a bias makes up for errors behind a relu as if at least this many values passed it
NOTHING: Means = np.zeros(1)


class Drifts:
    """The drifts of the values of `graph`, which are told it in topological order."""

    def __init__(self, graph: Graph, statistics: Mapping[str, ChannelStatistics]) -> None:
        self._graph = graph
        self._statistics = statistics
        self._known: dict[str, Means] = {name: self.storing(name) for name in graph.inputs}

    def of(self, name: str) -> Means:
        """The drift of a value, float64 [channels]; [1] where it is zero or the same for all of them."""
        return self._known.get(name, NOTHING)

    def keep(self, op: Op, moved: Sequence[Means]) -> None:
        """Take note that the results of `op`, before they are stored, have the drifts `moved`."""
        for name, drift in zip(op.outputs, moved, strict=False):
            stored = self.storing(name)
            self._known[name] = drift + stored if _agree(drift, stored) else stored

    def passed(self, op: Op) -> list[Means]:
        """What an op without weights makes of the drift of its inputs, for each output."""
        role = spec(op.kind).traits.role
        if op.kind in RECTIFIERS:
            found = self._rectified(op)
        elif op.kind == "eltwise-add":
            found = self._summed([self.of(name) for name in op.inputs])
        elif role == "pool" or op.kind == "reduction-mean":
            found = self._averaged(op)
        elif role in _ROLES_THAT_MOVE:
            return self._moved(op)
        elif op.kind in ("identity", "dropout"):
            found = self.of(op.inputs[0])
        else:
            found = NOTHING
        return [found] * len(op.outputs)

    def storing(self, name: str) -> Means:
        """What storing a value adds to its mean; nothing where it has no spec or was not looked at."""
        known, grid = self._statistics.get(name), self._graph.value(name).quant
        if known is None or grid is None:
            return NOTHING
        op = self._graph.producer(name)
        joined = op is not None and op.kind in RECTIFIERS
        computing = self._graph.producer(op.inputs[0]) if op is not None and joined else op
        unit = None if computing is None else unit_of_result(self._graph, computing)
        if unit is None or grid.position is None:
            return known.offset
        rests = (unit * 2**grid.position if grid.position >= 0 else unit / 2**-grid.position).denominator
        above, below = mean_error_of_ties(rests, grid.rounding)
        # behind a relu nothing is below zero; a leaky one has finer numbers there, whose ties are rare
        below = 0.0 if joined else below
        step = grid.scale[0]
        return np.asarray(known.offset + step * (above * known.positive + below * (1.0 - known.positive)))

    def behind_sum(self, op: Op) -> Means:
        """What is known to be added to the result of `op` until the sum that alone reads it is stored.

        That is storing the result, the drift of the other operands, and storing the sum. Nothing where there is no
        such sum, or where another operand is still to come, which then makes up for it.
        """
        graph, name = self._graph, op.outputs[0]
        readers = graph.consumers(name)
        if name in graph.outputs or len(readers) != 1 or readers[0].kind != "eltwise-add":
            return NOTHING
        total = readers[0]
        others = [other for other in total.inputs if other != name]
        if len(others) + 1 != len(total.inputs) or not all(
            other in self._known or graph.value(other).is_const for other in others
        ):
            return NOTHING
        stored = output_value(graph, total)
        at_end = self.storing(stored)
        if stored != total.outputs[0] and stored in self._statistics:
            at_end = at_end / np.maximum(self._statistics[stored].positive, LEAST_SHARE)
        return self._summed([self.storing(name), at_end, *(self.of(other) for other in others)])

    def _summed(self, drifts: Sequence[Means]) -> Means:
        return np.asarray(sum(drifts, NOTHING)) if _agree(*drifts) else NOTHING

    def _rectified(self, op: Op) -> Means:
        own, drift = self._statistics.get(op.outputs[0]), self.of(op.inputs[0])
        if own is None or not _agree(own.mean, drift):
            return NOTHING
        return np.asarray(drift * (own.positive + self._slope(op) * (1.0 - own.positive)))

    def _slope(self, op: Op) -> float:
        """What an activation multiplies numbers below zero by; the mean over the channels of a prelu."""
        if op.kind == "leaky-relu":
            return float(str(op.attrs.get("alpha", 0.01)))
        slopes = self._graph.const(op, 1) if op.kind == "prelu" else None
        return 0.0 if slopes is None else float(slopes.mean())

    def _averaged(self, op: Op) -> Means:
        drift, count, factor = self.of(op.inputs[0]), averaged(self._graph, op), dpu_factor(op)
        known = self._statistics.get(op.inputs[0])
        if factor is None or count is None or known is None or not _agree(drift, known.mean):
            return drift
        ratio = count * factor[0] / 2 ** factor[1]
        return np.asarray(ratio * drift + (ratio - 1.0) * known.mean)

    def _moved(self, op: Op) -> list[Means]:
        """The op run on images of the drifts."""
        images = [self._image(name) if name else None for name in op.inputs]
        nothing = [NOTHING] * len(op.outputs)
        if any(image is None for name, image in zip(op.inputs, images, strict=True) if name):
            return nothing
        try:
            found = spec(op.kind).compute(op, images)
        except InputError:  # sizes that do not suit one sample
            return nothing
        return [
            self._per_channel(name, image) if name else NOTHING
            for name, image in zip(op.outputs, found, strict=True)
        ]

    def _image(self, name: str) -> Array | None:
        """One sample that holds the drift of each channel everywhere; None where its size is not known.

        Constants that are real numbers do not drift.
        """
        value = self._graph.value(name)
        if value.const is not None:
            return np.zeros_like(value.const) if value.is_float else value.const
        if value.shape is None or not value.is_float or not all(dim is not None for dim in value.shape):
            return None
        shape = [dim if isinstance(dim, int) else 1 for dim in value.shape]
        drift = self.of(name)
        if drift.size == 1 or len(shape) < 2:
            return np.full(shape, drift[0] if drift.size == 1 else 0.0, np.float32)
        axis = channel_axis(self._graph, name, len(shape))
        if drift.size != shape[axis]:
            return None
        spread = drift.reshape([-1 if place == axis else 1 for place in range(len(shape))])
        return np.broadcast_to(spread, shape).astype(np.float32)

    def _per_channel(self, name: str, image: Array) -> Means:
        if image.ndim < 2 or not image.size:
            return NOTHING
        axis = channel_axis(self._graph, name, image.ndim)
        others = tuple(place for place in range(image.ndim) if place != axis)
        return np.asarray(image.mean(axis=others, dtype=np.float64))


def _agree(*drifts: Means) -> bool:
    """Whether they count the same channels."""
    return len({drift.size for drift in drifts} - {1}) <= 1

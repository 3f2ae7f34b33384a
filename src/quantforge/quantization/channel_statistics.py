"""Means per channel of the stored values of a float network, for bias correction.

Of each value x with the grid Q: E[x], E[Q(x) - x], and the share of x > 0, over samples and positions. The kernel
that sums them reads every element once.

Tokens of a sequence, whose channels are the last of three axes, count by min(1, 2 m / max|x|)^2 with m the median
of max|x|: a few tokens of transformers reach tens of times as far as the rest, and their errors, which normalizations
make small again, would move the biases of all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Array, Graph, QuantSpec
from quantforge.graph.execution import Feeds, Session, sample_count
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.compiled import compiled
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.ops.channels import WEIGHTED

Means = NDArray[np.float64]
USUAL = 2.0  # a token that reaches so many times as far as the median is none of the large ones yet
_DIRECTED = (Rounding.FLOOR, Rounding.CEIL, Rounding.TOWARD_ZERO)  # they differ from nearest beside ties too


@dataclass(frozen=True)
class ChannelStatistics:
    """Of one stored value per channel, float64 [channels]: E[x], E[Q(x) - x], and the share of x > 0."""

    mean: Means
    offset: Means
    positive: Means


def channel_statistics(
    graph: Graph, session: Session, samples: Iterable[Feeds]
) -> Mapping[str, ChannelStatistics]:
    """Statistics of the observed values that have specs in `graph`, over `samples`."""
    sums: dict[str, Means] = {}
    axes: dict[str, int] = {}
    count = 0
    for feeds in samples:
        for name, array in session.run(feeds).items():
            spec = graph.value(name).quant
            if spec is None or array.ndim < 2:
                continue
            axis = axes.setdefault(name, channel_axis(graph, name, array.ndim))
            found = _channel_sums(array, axis, spec)
            sums[name] = sums[name] + found if name in sums else found
        count += sample_count(feeds)
    return {name: ChannelStatistics(*(total / count)) for name, total in sums.items()}


def channel_axis(graph: Graph, name: str, rank: int) -> int:
    """The axis of a value that counts channels: 1, but the last one of three where no convolution is near."""
    if rank != 3:
        return 1
    near = [op for op in graph.consumers(name) if op.kind in WEIGHTED]
    op = graph.producer(name)
    while op is not None and op.kind not in WEIGHTED and op.inputs:
        op = graph.producer(op.inputs[0])
    near += [] if op is None else [op]
    return 1 if near and near[0].kind.endswith("conv1d") else 2


def _channel_sums(array: Array, axis: int, spec: QuantSpec) -> Means:
    """Sums over samples of the means per channel of x, of Q(x) - x and of x > 0: float64 [3, channels]."""
    numbers = np.ascontiguousarray(array, np.float32)
    if axis == array.ndim - 1:
        rows = numbers.reshape(-1, array.shape[axis], 1)
    else:
        rows = numbers.reshape(len(array), array.shape[1], -1)
    format = spec.format
    sums = np.zeros((3, rows.shape[1]))
    if array.ndim == 3 and axis == 2:
        stored, weights = fake_quantize_value(numbers, spec).reshape(rows.shape), token_weights(numbers)
        sums = np.stack([
            weights @ rows[:, :, 0], weights @ (stored - rows)[:, :, 0], (rows > 0).sum(axis=(0, 2))
        ])  # fmt: skip
    elif isinstance(format, IntFormat) and spec.axis is None and spec.rounding not in _DIRECTED:
        low, high = (format.qmin - spec.zero_point[0], format.qmax - spec.zero_point[0])
        add_channel_sums(rows, np.float32(spec.scale[0]), np.float32(low), np.float32(high), sums)
    else:
        sums = channel_sums_reference(rows, fake_quantize_value(numbers, spec).reshape(rows.shape))
    return sums * (len(array) / max(rows.shape[0] * rows.shape[2], 1))


def token_weights(array: Array) -> Means:
    """How much each token of `array` [samples, tokens, channels] counts, float64 [samples * tokens]; 1 on average."""
    tops = np.abs(array).max(axis=-1, initial=0.0).astype(np.float64).reshape(-1)
    usual = USUAL * float(np.median(tops)) if tops.size else 0.0
    if not np.isfinite(tops).all() or usual == 0.0:
        return np.ones(tops.size)
    weights = np.square(usual / np.maximum(tops, usual))
    return np.asarray(weights / weights.mean())


def channel_sums_reference(rows: NDArray[np.float32], stored: NDArray[np.float32]) -> Means:
    """Sums per channel of x, Q(x) - x and x > 0 of `rows` [outer, channels, inner]; `add_channel_sums` in NumPy."""
    wide = rows.astype(np.float64)
    return np.stack([wide.sum(axis=(0, 2)), (stored - wide).sum(axis=(0, 2)), (rows > 0).sum(axis=(0, 2))])


@compiled("float32[3] const", "float32", "float32", "float32", "float64[2]", reorder_sums=True)
def add_channel_sums(
    rows: NDArray[np.float32], scale: np.float32, low: np.float32, high: np.float32, sums: Means
) -> None:
    """Add the sums of `channel_sums_reference` for a grid of steps `scale` from `low` to `high` to `sums`."""
    outer, channels, inner = rows.shape
    inverse = np.float32(1.0) / scale
    for n in range(outer):
        for c in range(channels):
            total, offset, positive = 0.0, 0.0, 0
            for k in range(inner):
                x = rows[n, c, k]
                q = x * inverse
                q = low if q < low else q
                q = high if q > high else q
                total += x
                offset += np.rint(q) * scale - x
                positive += x > 0
            sums[0, c] += total
            sums[1, c] += offset
            sums[2, c] += positive

"""Bias correction: move each bias by the mean error that quantization makes in front of it.

What: a layer computes W x + b in float and W' x' + b in fixed point, with W' the weights its grid holds and x' the
input it gets. Its output is off on average by W' E[x'] - W E[x] per output channel, and
    b <- b + W E[x] - W' E[x']
takes that out. E[x'] = E[x] + drift(x), and the drift of a value is followed from the inputs down:
    a stored value     adds E[Q(x) - x], what its own grid does to its mean,
    a weighted layer   leaves what the grid of its bias cannot express,
    relu               passes the share of its channel's values that are positive,
    add                sums, and pooling and moving pass on.
A kernel is summed over its taps, which leaves out the borders.
Why: rounding errors of weights and of small activations do not average out; their mean adds up layer by layer.
Cost: one run of a few samples of the float network, and one pass over the weights; no quantized run.
When it hurts: with too few samples of wild data.
Reference: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Array, Graph, Op, QuantSpec
from quantforge.graph.execution import Feeds, Session
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.compiled import compiled
from quantforge.numerics.formats import IntFormat
from quantforge.ops.channels import WEIGHTED, input_channel_axis, is_depthwise, output_channel_axis
from quantforge.passes.result import Note
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.solve import solve_bias

NAME = "correct-bias"
Means = NDArray[np.float64]
_RECTIFIERS = ("relu", "relu6", "clip", "leaky-relu", "prelu")
_PASSING = (
    "identity",
    "maxpool2d",
    "avgpool2d",
    "reduction-mean",
    "flatten",
    "reshape",
    "squeeze",
    "dropout",
)


@dataclass(frozen=True)
class ChannelStatistics:
    """Of one stored value per channel, float64 [channels]: E[x], E[Q(x) - x], and the share of x > 0."""

    mean: Means
    offset: Means
    positive: Means


def correct_biases(
    graph: Graph, session: Session, samples: Iterable[Feeds], recipe: Recipe
) -> tuple[Graph, tuple[Note, ...]]:
    """Correct the biases of the quantized layers of `graph` and solve their specs anew.

    Args:
        graph: With specs.
        session: Runs the float network and observes at least the inputs of its weighted layers.
        samples: A few batches.
        recipe: How biases are quantized.

    Returns:
        A copy of `graph` with new bias constants and specs, and a note for each.
    """
    graph = graph.copy()
    statistics = channel_statistics(graph, session, samples)
    drift: dict[str, Means] = {}
    notes = []
    for name in graph.inputs:
        drift[name] = statistics[name].offset if name in statistics else np.zeros(1)
    for op in graph.ops:
        moved = np.zeros(1)
        if _correctable(graph, op) and _speaks_of(graph, op, statistics.get(op.inputs[0])):
            shift = mean_error(graph, op, statistics[op.inputs[0]].mean, drift[op.inputs[0]])
            moved = _move_bias(graph, op, shift, recipe)
            notes.append(
                Note(NAME, op.name, True, f"bias moved by up to {np.abs(shift).max(initial=0.0):.2g}")
            )
        elif op.kind not in WEIGHTED:
            moved = _passed(op, drift, statistics)
        for name in op.outputs:
            drift[name] = _sum(moved, statistics[name].offset) if name in statistics else moved
    return graph, tuple(notes)


def mean_error(graph: Graph, op: Op, mean: Means, drift: Means) -> Means:
    """W' (E[x] + drift) - W E[x] of one layer, float64 [output channels]."""
    value = graph.value(op.inputs[1])
    weights, spec = value.const, value.quant
    assert weights is not None and spec is not None  # noqa: S101  _correctable saw it
    return _response(op, fake_quantize_value(weights, spec), mean + drift) - _response(op, weights, mean)


def channel_statistics(
    graph: Graph, session: Session, samples: Iterable[Feeds]
) -> Mapping[str, ChannelStatistics]:
    """Statistics of the observed values that have specs in `graph`, over `samples`."""
    sums: dict[str, Means] = {}
    count = 0
    for feeds in samples:
        for name, array in session.run(feeds).items():
            spec = graph.value(name).quant
            if spec is None or array.ndim < 2:
                continue
            found = _channel_sums(array, spec)
            sums[name] = sums[name] + found if name in sums else found
        count += next((array.shape[0] for array in feeds.values() if array.ndim), 1)
    return {name: ChannelStatistics(*(total / count)) for name, total in sums.items()}


def _channel_sums(array: Array, spec: QuantSpec) -> Means:
    """Sums over samples of the means per channel of x, of Q(x) - x and of x > 0: float64 [3, channels]."""
    rows = np.ascontiguousarray(array, np.float32).reshape(len(array), array.shape[1], -1)
    if array.ndim == 3:  # [batch, sequence, channels]
        rows = np.ascontiguousarray(array, np.float32).reshape(-1, array.shape[2], 1)
    format = spec.format
    sums = np.zeros((3, rows.shape[1]))
    if isinstance(format, IntFormat) and spec.axis is None:
        low, high = (format.qmin - spec.zero_point[0], format.qmax - spec.zero_point[0])
        add_channel_sums(rows, np.float32(spec.scale[0]), np.float32(low), np.float32(high), sums)
    else:
        sums = channel_sums_reference(rows, fake_quantize_value(rows, spec))
    return sums * (len(array) / (rows.shape[0] * rows.shape[2]))


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


def _move_bias(graph: Graph, op: Op, shift: Means, recipe: Recipe) -> Means:
    """Subtract `shift` from the bias of `op`; returns what its grid makes of the new one, minus the new one."""
    bias = graph.value(op.inputs[2])
    assert bias.const is not None  # noqa: S101  _correctable saw it
    wanted = bias.const - shift
    graph.set_value(replace(bias, const=wanted.astype(bias.const.dtype)))
    solve_bias(graph, op, recipe)
    spec = graph.value(bias.name).quant
    return np.zeros(1) if spec is None else np.asarray(fake_quantize_value(wanted, spec) - wanted)


def _passed(op: Op, drift: Mapping[str, Means], statistics: Mapping[str, ChannelStatistics]) -> Means:
    """What an op without weights makes of the drift of its inputs; zero where that is not known."""
    known = [drift[name] for name in op.inputs if name in drift]
    if op.kind == "eltwise-add" and len({row.size for row in known} - {1}) <= 1:
        return np.asarray(sum(known, np.zeros(1)))
    own = statistics.get(op.outputs[0])
    if not known or own is None or known[0].size not in (1, own.mean.size):
        return np.zeros(1)
    if op.kind in _RECTIFIERS:
        return known[0] * own.positive
    return known[0] if op.kind in _PASSING else np.zeros(1)


def _sum(moved: Means, offset: Means) -> Means:
    """Both together; the offset alone where they count different axes."""
    return moved + offset if 1 in (moved.size, offset.size) or moved.size == offset.size else offset


def _speaks_of(graph: Graph, op: Op, known: ChannelStatistics | None) -> bool:
    """Whether the statistics of a layer's input count its input channels; not so for matrices of over 3 axes."""
    into, weights = input_channel_axis(op), graph.const(op, 1)
    if known is None or into is None or weights is None:
        return False
    return is_depthwise(op) or known.mean.size == weights.shape[into]


def _correctable(graph: Graph, op: Op) -> bool:
    """Quantized input and weights, a bias to move, one group or depthwise with multiplier 1."""
    out = output_channel_axis(op)
    if out is None or op.kind == "matmul" or graph.const(op, 2) is None:
        return False
    x, weights = graph.value(op.inputs[0]), graph.value(op.inputs[1])
    if weights.const is None or weights.quant is None or x.quant is None:
        return False
    return op.attrs.get("group", 1) == (weights.const.shape[out] if is_depthwise(op) else 1)


def _response(op: Op, weights: Array, x: Means) -> Means:
    """What the layer makes of a channel-wise constant input `x`, borders and bias left out: float64 [out]."""
    out, into = output_channel_axis(op), input_channel_axis(op)
    if is_depthwise(op):
        taps = tuple(axis for axis in range(weights.ndim) if axis not in (out, into))
        return np.asarray(weights.sum(axis=taps, dtype=np.float64).reshape(-1) * x)
    assert out is not None and into is not None  # noqa: S101  _correctable saw it
    spread = np.broadcast_to(x, weights.shape[into]).astype(weights.dtype)
    taps = tuple(axis for axis in range(weights.ndim - 1) if axis != out - (out > into))
    return np.asarray(np.tensordot(weights, spread, (into, 0)).sum(axis=taps, dtype=np.float64))

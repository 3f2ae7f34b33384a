"""Bias correction: move each bias by the mean error that quantization makes in front of it.

What: a layer computes W x + b in float and W' x' + b in fixed point, with W' the weights its grid holds and x' the
input it gets. Its output is off on average by W' E[x'] - W E[x] per output channel, and
    b <- b + W E[x] - W' E[x']
takes that out. E[x'] = E[x] + drift(x), and the drift of a value is followed from the inputs down (`drift`).
A layer that only feeds a sum makes up for more: what the other operands have drifted, and what rounding the sum
will add. Without that a residual stream that rounds half up rises by up to a quarter of a step with every sum.
A kernel is summed over its taps, which leaves out the borders. Where a product and its bias are two operators, the
constant of the sum is moved (`layer_bias`).
Why: rounding errors of weights and of small activations do not average out; their mean adds up layer by layer.
Cost: one run of a few samples of the float network, and one pass over the weights; no quantized run.
When it hurts: with too few samples of wild data.
Reference: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from quantforge.graph import Array, Graph, Op
from quantforge.graph.execution import Feeds, Session
from quantforge.graph.quantize import fake_quantize_value
from quantforge.ops.channels import WEIGHTED, input_channel_axis, is_depthwise, output_channel_axis
from quantforge.passes.result import Note
from quantforge.quantization.channel_statistics import ChannelStatistics, Means, channel_statistics
from quantforge.quantization.drift import NOTHING, Drifts
from quantforge.quantization.layer_bias import layer_biases, move_bias
from quantforge.quantization.recipe import Recipe

NAME = "correct-bias"


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
    drifts = Drifts(graph, statistics)
    biases, notes = layer_biases(graph), []
    for op in graph.ops:
        known = statistics.get(op.inputs[0]) if op.inputs else None
        bias = biases.get(op.name)
        if known is not None and bias is not None and correctable(graph, op) and _speaks_of(graph, op, known):
            ahead = drifts.behind_sum(graph.op(bias.holder))
            shift = mean_error(graph, op, known.mean, drifts.of(op.inputs[0]))
            ahead = ahead if ahead.size in (1, shift.size) else NOTHING
            drifts.keep(op, [move_bias(graph, bias, shift + ahead, recipe) - ahead])
            moved = np.abs(shift + ahead).max(initial=0.0)
            notes.append(Note(NAME, op.name, True, f"bias moved by up to {moved:.2g}"))
        else:
            drifts.keep(op, [NOTHING] * len(op.outputs) if op.kind in WEIGHTED else drifts.passed(op))
    return graph, tuple(notes)


def mean_error(graph: Graph, op: Op, mean: Means, drift: Means) -> Means:
    """W' (E[x] + drift) - W E[x] of one layer, float64 [output channels]."""
    value = graph.value(op.inputs[1])
    weights, spec = value.const, value.quant
    assert weights is not None and spec is not None  # noqa: S101  correctable saw it
    return _response(op, fake_quantize_value(weights, spec), mean + drift) - _response(op, weights, mean)


def _speaks_of(graph: Graph, op: Op, known: ChannelStatistics) -> bool:
    """Whether the statistics of a layer's input count its input channels; not so for matrices of over 3 axes."""
    into, weights = input_channel_axis(op), graph.const(op, 1)
    if into is None or weights is None:
        return False
    return is_depthwise(op) or known.mean.size == weights.shape[into]


def correctable(graph: Graph, op: Op) -> bool:
    """Quantized input and weights, one group or depthwise with multiplier 1."""
    out = output_channel_axis(op)
    if out is None:
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
    assert out is not None and into is not None  # noqa: S101  correctable saw it
    spread = np.broadcast_to(x, weights.shape[into]).astype(weights.dtype)
    taps = tuple(axis for axis in range(weights.ndim - 1) if axis != out - (out > into))
    return np.asarray(np.tensordot(weights, spread, (into, 0)).sum(axis=taps, dtype=np.float64))

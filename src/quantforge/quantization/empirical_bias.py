"""Empirical bias correction: biases moved by the mean error that layers are seen to make.

What: in topological order, a layer's output is computed by the quantized network, whose earlier biases are corrected
already, and its mean per channel compared with the float network's,
    b <- b - (E[y'] - E[y]),
over samples and positions, in front of the activation; tokens count as in `channel_statistics`.
Why: it needs no model of how errors pass through operators, which `bias_correction` has.
Cost: one run of the float network and two of the quantized one on a few samples, cut into a session per layer; what
lies between two layers is kept for all these samples.
When it hurts: with few samples the mean of a sample is taken for that of all; then the analytic one is steadier.
Reference: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, appendix D.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from quantforge.graph import Array, Graph, Op
from quantforge.graph.execution import Executor, Feeds
from quantforge.passes.result import Note
from quantforge.quantization.bias_correction import correctable
from quantforge.quantization.channel_statistics import Means, channel_axis, token_weights
from quantforge.quantization.layer_bias import layer_biases, move_bias
from quantforge.quantization.recipe import Recipe

NAME = "measure-bias"


@dataclass(frozen=True)
class _Wanted:
    """The mean of a value in the float network, and what each of its tokens counts there, for every batch."""

    mean: Means
    weights: tuple[Means | None, ...]


def correct_by_samples(
    base: Graph, graph: Graph, executor: Executor, samples: Iterable[Feeds], recipe: Recipe
) -> tuple[Graph, tuple[Note, ...]]:
    """A copy of `graph` with biases corrected by what layers make of samples, and a note for each.

    Args:
        base: The float graph.
        graph: With specs.
        executor: Runs both.
        samples: A few batches; what layers hand on is kept for all of them.
        recipe: How biases are quantized.
    """
    graph, notes = graph.copy(), []
    layers = {
        bias.holder: bias
        for name, bias in layer_biases(graph).items()
        if correctable(graph, graph.op(name)) and base.has_value(bias.result(graph))
    }
    batches = [{name: np.array(array) for name, array in feeds.items()} for feeds in samples]
    if not layers or not batches:
        return graph, ()
    wanted = _means(base, executor, [bias.result(graph) for bias in layers.values()], batches)
    live: list[dict[str, Array]] = [dict(feeds) for feeds in batches]
    done: set[str] = set()
    for ops in _segments(graph, set(layers)):
        last, done = ops[-1], done | {op.name for op in ops}
        found = _run(graph, executor, ops, done, live)
        if last.outputs[0] in wanted:
            name = last.outputs[0]
            error = _error([rows[name] for rows in found], graph, name, wanted[name])
            bias = layers[last.name]
            move_bias(graph, bias, error, recipe)
            notes.append(
                Note(NAME, bias.layer, True, f"bias moved by up to {np.abs(error).max(initial=0.0):.2g}")
            )
            found = _run(graph, executor, [graph.op(op.name) for op in ops], done, live)
        for rows, new in zip(live, found, strict=True):
            rows.update(new)
            for name in [name for name in rows if not _is_read(graph, name, done)]:
                del rows[name]
    return graph, tuple(notes)


def _segments(graph: Graph, layers: set[str]) -> Iterator[list[Op]]:
    """The ops in order, each part up to a layer's result; those behind the last one are left out."""
    part: list[Op] = []
    for op in graph.ops:
        part.append(op)
        if op.name in layers:
            yield part
            part = []


def _run(
    graph: Graph, executor: Executor, ops: Sequence[Op], done: set[str], live: Sequence[dict[str, Array]]
) -> list[dict[str, Array]]:
    """What `ops` make that is read later, and what the last one makes, for every batch."""
    made = [name for op in ops for name in op.outputs if name]
    names = dict.fromkeys(name for op in ops for name in (*op.inputs, *op.outputs) if name)
    inputs = [name for name in names if name not in made and not graph.value(name).is_const]
    wanted = [name for name in made if _is_read(graph, name, done) or name == ops[-1].outputs[0]]
    part = Graph(graph.name, [graph.value(name) for name in names], ops, inputs, wanted, graph.native)
    session = executor.session(part, wanted, brief=True)
    return [
        {name: np.array(array) for name, array in session.run({n: rows[n] for n in inputs}).items()}
        for rows in live
    ]


def _is_read(graph: Graph, name: str, done: set[str]) -> bool:
    return any(op.name not in done for op in graph.consumers(name))


def _means(
    graph: Graph, executor: Executor, names: list[str], batches: Sequence[Feeds]
) -> dict[str, _Wanted]:
    """What each value is on average, per channel."""
    session = executor.session(graph, names, brief=True)
    sums, weights = dict[str, Means](), dict[str, list[Means | None]]()
    for feeds in batches:
        for name, array in session.run(feeds).items():
            axis = channel_axis(graph, name, array.ndim)
            counts = token_weights(array) if array.ndim == 3 and axis == 2 else None
            weights.setdefault(name, []).append(counts)
            sums[name] = sums.get(name, np.zeros(1)) + len(array) * _mean(array, axis, counts)
    count = sum(len(next(iter(feeds.values()))) for feeds in batches)
    return {name: _Wanted(total / count, tuple(weights[name])) for name, total in sums.items()}


def _error(arrays: Sequence[Array], graph: Graph, name: str, wanted: _Wanted) -> Means:
    """The mean error per channel of a value over samples and positions, float64 [channels]."""
    axis = channel_axis(graph, name, arrays[0].ndim)
    means = [
        _mean(array, axis, counts) * len(array) for array, counts in zip(arrays, wanted.weights, strict=True)
    ]
    return np.asarray(np.sum(means, axis=0) / sum(map(len, arrays)) - wanted.mean)


def _mean(array: Array, axis: int, weights: Means | None) -> Means:
    if weights is not None:
        return np.asarray(weights @ array.reshape(weights.size, -1) / weights.size)
    others = tuple(place for place in range(array.ndim) if place != axis % array.ndim)
    return np.asarray(array.mean(axis=others, dtype=np.float64))

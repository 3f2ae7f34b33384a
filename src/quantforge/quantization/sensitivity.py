"""Which layers cost the network most: its output error when one layer alone is quantized.

What: a layer is an operator with the activations fused into it, or a graph input. Its error at the outputs is
measured by a run in which it alone carries its specs,

    noise(L) = sum over outputs of ||y - y_L||^2 / ||y||^2,

and the rest is float. The noise that every layer adds at its own output is known from `measure` already. To save
time only those with most of it, `confirm` of them, get a run of their own, and the noise of the others is estimated
by the median gain (noise at the outputs over noise added) of those that ran. That is rough: early layers add little
and the rest of the network makes much of it.
Why: layers differ by orders of magnitude, and a few more bits pay only where most of the error is made.
Cost: one session and a few samples for each confirmed layer.
When it hurts: errors of layers are taken one by one; where they cancel or amplify each other, the order can differ.
Reference: Wu et al., Integer Quantization for Deep Learning Inference, 2020, section 5.2 (sensitivity analysis).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Array, Graph
from quantforge.graph.execution import Executor, Feeds
from quantforge.ops.channels import WEIGHTED
from quantforge.quantization.report import LayerReport, relative_noise


@dataclass(frozen=True)
class Layer:
    """An operator with what is fused into it, or a graph input (kind "input", no `ops`); `result` is its value."""

    name: str
    kind: str
    ops: tuple[str, ...]
    result: str


@dataclass(frozen=True)
class LayerSensitivity:
    """What one layer costs.

    Attributes:
        layer: Which one.
        added_db: SQNR of its own output when it alone is quantized; None for graph inputs.
        output_db: SQNR of the graph's outputs when it alone is quantized.
        share: Of the sum of all layers' noise at the outputs.
        confirmed: Whether `output_db` was measured; else it is estimated from `added_db`.
    """

    layer: Layer
    added_db: float | None
    output_db: float
    share: float
    confirmed: bool


def layers_of(graph: Graph, reports: Iterable[LayerReport]) -> tuple[tuple[Layer, float | None], ...]:
    """The quantized layers of `graph`, each with the SQNR at its own output where it was measured."""
    found: list[tuple[Layer, float | None]] = [
        (Layer(name, "input", (), name), None) for name in graph.inputs if graph.value(name).quant is not None
    ]
    for report in reports:
        ops = report.ops or (report.name,)
        result = graph.op(ops[-1]).outputs[0]
        computes = report.added_db is not None or report.kind in WEIGHTED
        if report.float_reason is None and report.tensors and computes:
            found.append((Layer(report.name, report.kind, ops, result), report.added_db))
    return tuple(found)


def to_confirm(layers: Sequence[tuple[Layer, float | None]], confirm: int | None) -> tuple[Layer, ...]:
    """The layers worth a run: graph inputs, and those that add most, `confirm` in all; None for all of them."""
    order = sorted(layers, key=lambda pair: -math.inf if pair[1] is None else -relative_noise(pair[1]))
    return tuple(layer for layer, _ in order[:confirm])


def alone(base: Graph, quantized: Graph, layer: Layer) -> Graph:
    """`base` with the specs of one layer: of its weights, its bias and its result. Biases are those of `base`."""
    graph = base.copy()
    for name in layer.ops:
        op = quantized.op(name)
        graph.replace_op(op)
        biases = op.inputs[2:] if op.kind in WEIGHTED else ()
        for value in (quantized.value(name) for name in op.inputs if name):
            if value.is_const:
                const = base.value(value.name).const if value.name in biases else value.const
                graph.set_value(replace(value, const=const))
    result = quantized.value(layer.result)
    graph.set_value(replace(graph.value(layer.result), quant=result.quant))
    return graph


def float_outputs(executor: Executor, graph: Graph, batches: Sequence[Feeds]) -> list[Mapping[str, Array]]:
    """The outputs of `graph` for each batch, copied."""
    outputs = [name for name in graph.outputs if graph.value(name).is_float]
    session = executor.session(graph, outputs, brief=True)
    return [{name: np.array(array) for name, array in session.run(feeds).items()} for feeds in batches]


def output_noise(
    executor: Executor, graph: Graph, batches: Sequence[Feeds], wanted: Sequence[Mapping[str, Array]]
) -> float:
    """Noise over signal of the outputs of `graph`, summed over them; `wanted` has those of the float network."""
    return float(noise_by_batch(executor, graph, batches, wanted).sum())


def noise_by_batch(
    executor: Executor, graph: Graph, batches: Sequence[Feeds], wanted: Sequence[Mapping[str, Array]]
) -> NDArray[np.float64]:
    """What each batch adds to `output_noise`, float64 [batches]."""
    names = list(wanted[0])
    session = executor.session(graph, names, brief=True)
    signal, noise = np.zeros(len(names)), np.zeros((len(batches), len(names)))
    for row, feeds, reference in zip(noise, batches, wanted, strict=True):
        arrays = session.run(feeds)
        for i, name in enumerate(names):
            exact = np.asarray(reference[name], np.float64)
            finite = np.isfinite(exact) & np.isfinite(arrays[name])
            signal[i] += np.square(exact[finite]).sum()
            row[i] = np.square(exact[finite] - arrays[name][finite]).sum()
    alive = signal > 0.0
    return np.asarray((noise[:, alive] / signal[alive]).sum(axis=1))


def ranking(
    layers: Sequence[tuple[Layer, float | None]], confirmed: Mapping[str, float]
) -> tuple[LayerSensitivity, ...]:
    """All layers, the worst first; `confirmed` has the noise at the outputs by layer name."""
    gains = [
        confirmed[layer.name] / relative_noise(db)
        for layer, db in layers
        if layer.name in confirmed and relative_noise(db) > 0.0
    ]
    gain = float(np.median(gains)) if gains else 1.0
    noises = {layer.name: confirmed.get(layer.name, gain * relative_noise(db)) for layer, db in layers}
    total = sum(noises.values())
    rows = [
        LayerSensitivity(
            layer,
            db,
            math.inf if noises[layer.name] == 0.0 else -10.0 * math.log10(noises[layer.name]),
            noises[layer.name] / total if total > 0.0 else 0.0,
            layer.name in confirmed,
        )
        for layer, db in layers
    ]
    return tuple(sorted(rows, key=lambda row: -row.share))  # stable: equal ones in the order of the network

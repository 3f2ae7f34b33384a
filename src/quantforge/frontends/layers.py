"""Rank the layers of a quantized network by what each costs at the outputs; see `quantization.sensitivity`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantforge.calibration.data import DataSource
from quantforge.calibration.runner import guarded
from quantforge.calibration.split import split
from quantforge.distribution.pool import Pool
from quantforge.graph import Array, Graph
from quantforge.graph.execution import Executor, Feeds
from quantforge.quantization.assemble import layer_reports
from quantforge.quantization.flow import (
    COMPARE_MACS,
    COMPARE_SAMPLES,
    Quantized,
    affordable_samples,
    first_samples,
    macs_of,
    take_samples,
)
from quantforge.quantization.sensitivity import (
    Layer,
    LayerSensitivity,
    alone,
    float_outputs,
    layers_of,
    output_noise,
    ranking,
    to_confirm,
)


@dataclass(frozen=True)
class Measuring:
    """What the runs of all layers have in common."""

    executor: Executor
    base: Graph
    quantized: Graph
    batches: tuple[Feeds, ...]
    wanted: tuple[Mapping[str, Array], ...]


def rank_layers(
    found: Quantized, executor: Executor, source: DataSource, hold_out: int, confirm: int | None, pool: Pool
) -> tuple[LayerSensitivity, ...]:
    """All quantized layers, the worst first.

    Args:
        found: A quantization.
        executor: Runs graphs.
        source: All samples; the first of those that are not held out are looked at.
        hold_out: As in the recipe.
        confirm: How many layers get a run of their own; None for all.
        pool: Where those runs happen.
    """
    part = split(source, hold_out)[0] if hold_out else source
    macs = sum(macs_of(found.base, op) for op in found.base.ops)
    count = affordable_samples(COMPARE_MACS, macs, COMPARE_SAMPLES)
    batches = first_samples(take_samples(guarded(part), count), count, part.divisible)
    wanted = float_outputs(executor, found.base, batches)
    layers = layers_of(found.graph, layer_reports(found.graph, found.places, found.measurement))
    chosen = to_confirm(layers, confirm)
    measuring = Measuring(executor, found.base, found.graph, tuple(batches), tuple(wanted))
    noises = pool.map(noise_of_layer, measuring, chosen)
    return ranking(layers, {layer.name: noise for layer, noise in zip(chosen, noises, strict=True)})


def noise_of_layer(measuring: Measuring, layer: Layer) -> float:
    """Noise over signal at the outputs when `layer` alone is quantized."""
    graph = alone(measuring.base, measuring.quantized, layer)
    return output_noise(measuring.executor, graph, measuring.batches, measuring.wanted)

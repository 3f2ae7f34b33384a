"""Equalization on data: look at a few samples, then run the pass of `passes.equalize_layers`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Array, Graph
from quantforge.graph.execution import Executor, Feeds
from quantforge.passes.equalize_layers import equalize_layers, grouped_values
from quantforge.passes.result import PassResult
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import Equalization

CHANNEL_AXIS = 1  # of the values that groups tie together: [batch, channels, ...]


def equalize(
    graph: Graph, executor: Executor, samples: Iterable[Feeds], places: Places, options: Equalization
) -> PassResult:
    """Equalize `graph`; with `options.activations`, on the ranges its quantized values have on `samples`."""
    settings: dict[str, Any] = {"include_bias": options.include_bias, "least_change": options.least_change}
    if not options.activations:
        return equalize_layers(graph, options.sweeps, **settings)
    stored = {name for group in places.groups for name in group.values}
    names = [name for name in dict.fromkeys(grouped_values(graph)) if name in stored]
    ranges = channel_ranges(executor, graph, names, samples) if names else {}
    return equalize_layers(graph, options.sweeps, ranges=ranges, **settings)


def channel_ranges(
    executor: Executor, graph: Graph, names: list[str], samples: Iterable[Feeds], axis: int = CHANNEL_AXIS
) -> dict[str, NDArray[np.float64]]:
    """Largest |x| per channel, along `axis`, of each value over `samples`; float64 [channels]."""
    session = executor.session(graph, names, brief=True)
    ranges: dict[str, NDArray[np.float64]] = {}
    for feeds in samples:
        for name, array in session.run(feeds).items():
            found = _largest(array, axis)
            ranges[name] = np.maximum(ranges[name], found) if name in ranges else found
    return ranges


def _largest(array: Array, channels: int) -> NDArray[np.float64]:
    others = tuple(axis for axis in range(array.ndim) if axis != channels % array.ndim)
    top, bottom = array.max(axis=others, initial=0.0), array.min(axis=others, initial=0.0)
    return np.asarray(np.maximum(top, -bottom), np.float64)

"""SmoothQuant on data: look at a few samples, then run the pass of `passes.smooth_norms`."""

from __future__ import annotations

from collections.abc import Iterable

from quantforge.graph import Graph
from quantforge.graph.execution import Executor, Feeds
from quantforge.passes.result import PassResult
from quantforge.passes.smooth_norms import smooth_norms, smoothable
from quantforge.quantization.equalize import channel_ranges
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import Placement, Smoothing


def smooth(
    graph: Graph,
    executor: Executor,
    samples: Iterable[Feeds],
    places: Places,
    options: Smoothing,
    placement: Placement,
) -> PassResult:
    """Smooth the norms of `graph` whose values and readers' weights are quantized, by their ranges on `samples`.

    The product that gives other readers the unscaled values back stays in float where only the inputs of products
    are stored; elsewhere it would be rounded, and norms with such readers are left alone.
    """
    stored = {name for group in places.groups for name in group.values}
    names = [name for name in smoothable(graph) if name in stored]
    ranges = channel_ranges(executor, graph, names, samples, axis=-1) if names else {}
    return smooth_norms(graph, ranges, options.alpha, restore=placement.inputs_only)

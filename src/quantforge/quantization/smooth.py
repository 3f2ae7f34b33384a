"""SmoothQuant on data: look at a few samples, then run `passes.smooth_norms` and `passes.smooth_gelus`."""

from __future__ import annotations

from collections.abc import Iterable

from quantforge.graph import Graph
from quantforge.graph.execution import Executor, Feeds
from quantforge.passes.result import PassResult
from quantforge.passes.smooth_gelus import gelus_to_smooth, smooth_gelus
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
    """Smooth the norms and the GELUs whose values and readers' weights are quantized, by their ranges on `samples`.

    Products that are added stay in float where only the inputs of products are stored; elsewhere they would be
    rounded, and norms with readers that need one are left alone, and so are GELUs.
    """
    stored = {name for group in places.groups for name in group.values}
    gelus = gelus_to_smooth(graph) if placement.inputs_only and options.gelu_reach < 1.0 else ()
    names = [name for name in (*smoothable(graph), *gelus) if name in stored]
    ranges = channel_ranges(executor, graph, names, samples, axis=-1) if names else {}
    norms = smooth_norms(graph, ranges, options.alpha, restore=placement.inputs_only)
    capped = smooth_gelus(
        norms.graph, {name: ranges[name] for name in gelus if name in ranges}, options.gelu_reach
    )
    done = {note.op for note in capped.notes}
    notes = (*(note for note in norms.notes if note.op not in done), *capped.notes)
    return PassResult(capped.graph, tuple(dict.fromkeys((*norms.changed, *capped.changed))), notes)

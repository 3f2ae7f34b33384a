"""Cap the outlier channels of what a GELU makes; the weights that read it make up for that.

    y = gelu(x) W = (gelu(x) / s) (s W),    s_j = max(1, max|gelu(x)_j| / (reach * max|gelu(x)|))

Why: a handful of the thousand channels in the middle of a feed-forward block reach ten times as far as the rest
and, with one scale for all, take its steps. Only their weights grow, and by no more than 1 / reach: the rows of W
differ in size as well, and balancing each channel against its row, as for norms (`smooth_norms`), would blow up the
wrong ones.
What: GELUs, one operator or several (`passes.units.gelu`), that products with constant weights read. Whatever else
reads them is left as it is.
Cost: one elementwise product, since no constant in front of a GELU can absorb a scale.
When it hurts: weights with one scale per tensor lose more than is won, 7 dB on a sentence encoder; and where the
product that is added is rounded before and behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from quantforge.graph import Graph, Op, Origin, Value
from quantforge.passes.result import Note, PassResult
from quantforge.passes.smooth_norms import Channels, products_reading, scale_inputs
from quantforge.passes.units.gelu import find_gelus

NAME = "smooth-gelus"


def gelus_to_smooth(graph: Graph) -> tuple[str, ...]:
    """The results of GELUs that products with constant weights read."""
    found = [unit.output for unit in find_gelus(graph).found]
    found += [op.outputs[0] for op in graph.ops if op.kind == "gelu"]
    return tuple(name for name in found if products_reading(graph, name))


def smooth_gelus(graph: Graph, ranges: Mapping[str, Channels], reach: float) -> PassResult:
    """Cap the channels of GELUs.

    Args:
        graph: Any.
        ranges: Largest |x| per channel of values that `gelus_to_smooth` lists, float64 [channels].
        reach: How far channels may reach beside the one that reaches farthest, 0 to 1; 1 leaves all as it is.

    Changed: products whose weights were scaled, and products that were added.
    """
    graph = graph.copy()
    changed: list[str] = []
    notes = []
    for name in gelus_to_smooth(graph):
        top = ranges[name].max(initial=0.0) if name in ranges else 0.0
        if not np.isfinite(top) or top * reach <= 0.0:
            continue
        scale = np.maximum(1.0, ranges[name] / (top * reach))
        scale /= scale.min()  # all channels alike need none
        capped = int((scale > 1.0).sum())
        if not capped or reach == 1.0:
            continue
        products = products_reading(graph, name)
        changed += [*scale_inputs(graph, products, scale), _add_product(graph, name, scale, products)]
        text = f"{capped} of {scale.size} channels capped at 2^{np.log2(reach):.1f} of the largest"
        notes += [Note(NAME, op.name, True, text) for op in products]
    return PassResult(graph, tuple(dict.fromkeys(changed)), tuple(notes))


def _add_product(graph: Graph, name: str, scale: Channels, readers: list[Op]) -> str:
    """Let `readers` read x / s instead; returns the name of the new operator."""
    value = graph.value(name)
    factor, capped = graph.fresh_name(f"{name}_scale"), graph.fresh_name(f"{name}_capped")
    data = np.asarray(1.0 / scale, np.float32)
    graph.set_value(Value(factor, data.shape, "float32", data))
    graph.set_value(replace(value, name=capped))
    made = Op("eltwise-mul", capped, (name, factor), (capped,), {}, Origin((), NAME))
    graph.add_op(made, before=readers[0].name)
    for op in readers:
        now = graph.op(op.name)
        graph.replace_op(replace(now, inputs=(capped, *now.inputs[1:])))
    return capped

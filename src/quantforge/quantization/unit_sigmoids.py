"""Outputs of sigmoids on the scale that all of 0..1 needs, whatever calibration saw: 2**-bits with zero point 0.

    uint8   1 / 256: the numbers 0, 1/256, ..., 255/256

Drivers of accelerators that take a sigmoid's range for granted need it. Signed integers would hold half of it.
Source: option extra.Sigmoid.nnapi of the quantizer of ONNX Runtime.
"""

from __future__ import annotations

import math
from dataclasses import replace

from quantforge.graph import Graph
from quantforge.numerics.formats import IntFormat
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.solve import solve_bias


def with_unit_sigmoids(graph: Graph, places: Places, recipe: Recipe) -> Graph:
    """A copy of a solved `graph` with such specs of unsigned sigmoids, and biases solved for them.

    Without `recipe.unit_sigmoids` the graph itself is returned. What shares a spec with a sigmoid gets the same, if
    the sigmoid alone decides it; a concat with other values keeps the spec that holds them all.
    """
    if not recipe.unit_sigmoids:
        return graph
    graph, changed = graph.copy(), set[str]()
    for group in places.groups:
        makers = [graph.producer(name) for name in group.sources]
        form = group.rule.format
        if not isinstance(form, IntFormat) or form.signed:
            continue
        if not all(maker is not None and maker.kind == "sigmoid" for maker in makers):
            continue
        for name in group.values:
            value = graph.value(name)
            if value.quant is not None:
                spec = replace(value.quant, scale=(math.ldexp(1.0, -form.bits),), zero_point=(0,))
                graph.set_value(replace(value, quant=spec))
                changed.add(name)
    for place in places.biases:
        if graph.op(place.op).inputs[0] in changed:
            solve_bias(graph, graph.op(place.op), recipe)
    return graph

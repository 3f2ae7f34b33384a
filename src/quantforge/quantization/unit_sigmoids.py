"""Outputs of sigmoids on the scale that all of 0..1 needs, whatever calibration saw: 2**-bits with zero point 0.

    uint8   1 / 256: the numbers 0, 1/256, ..., 255/256

Drivers of accelerators that take a sigmoid's range for granted need it. Signed integers would hold half of it.
Source: option extra.Sigmoid.nnapi of the quantizer of ONNX Runtime.
"""

from __future__ import annotations

import math
from dataclasses import replace

from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import IntFormat
from quantforge.quantization.places import Places, SpecGroup
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.solve import respecified


def with_unit_sigmoids(graph: Graph, places: Places, recipe: Recipe) -> Graph:
    """A copy of a solved `graph` with such specs of unsigned sigmoids, and biases solved for them.

    Without `recipe.unit_sigmoids` the graph itself is returned. What shares a spec with a sigmoid gets the same, if
    the sigmoid alone decides it; a concat with other values keeps the spec that holds them all.
    """
    if not recipe.unit_sigmoids:
        return graph

    def chosen(group: SpecGroup, spec: QuantSpec) -> QuantSpec | None:
        form = group.rule.format
        makers = (graph.producer(name) for name in group.sources)
        if not isinstance(form, IntFormat) or form.signed:
            return None
        if not all(maker is not None and maker.kind == "sigmoid" for maker in makers):
            return None
        return replace(spec, scale=(math.ldexp(1.0, -form.bits),), zero_point=(0,))

    return respecified(graph, places, recipe, chosen)

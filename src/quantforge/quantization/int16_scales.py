"""Scales that 16-bit integers can carry: M / 2**N instead of any float, for hardware that multiplies and shifts.

    N = 0..16,   M = floor(s 2**N) or ceil(s 2**N) with M <= 32767

with the smallest |M / 2**N - s|, and of these the smallest N. M is at least 1: a scale of 0 stands for nothing. Zero
points stay those of the scale that was asked for. Scales of 32767 and more have no such form and become 32767.
Source: option Int16Scale of the ONNX quantizer of Vitis AI, which makes 2**-14 of scales too small or too large.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

from quantforge.graph import Graph
from quantforge.numerics.formats import IntFormat
from quantforge.ops.channels import WEIGHTED
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.solve import solve_bias

MOST_SHIFT = 16
MOST_FACTOR = (1 << 15) - 1


def int16_scale(scale: float) -> tuple[int, int]:
    """(M, N) of the nearest M / 2**N.

    >>> int16_scale(0.1), int16_scale(0.5), int16_scale(1.3)
    ((3277, 15), (1, 1), (21299, 14))
    """
    exact, best = Fraction(scale), (MOST_FACTOR, 0)
    error = abs(best[0] - exact)
    for shift in range(MOST_SHIFT + 1):
        product = exact * (1 << shift)
        for factor in (floor(product), ceil(product)):
            if 1 <= factor <= MOST_FACTOR and abs(Fraction(factor, 1 << shift) - exact) < error:
                best, error = (factor, shift), abs(Fraction(factor, 1 << shift) - exact)
    return best


def with_int16_scales(graph: Graph, places: Places, recipe: Recipe) -> Graph:
    """A copy of a solved `graph` with such scales of activations and weights, and biases solved for them.

    Without `recipe.int16_scales` the graph itself is returned.
    """
    if not recipe.int16_scales:
        return graph
    graph = graph.copy()
    biases = {place.value for place in places.biases}
    for value in graph.values:
        spec = value.quant
        if spec is None or value.name in biases or not isinstance(spec.format, IntFormat):
            continue
        rounded = (int16_scale(scale) for scale in spec.scale)
        scales = tuple(factor / (1 << shift) for factor, shift in rounded)
        graph.set_value(replace(value, quant=replace(spec, scale=scales)))
    for place in places.biases:
        if graph.op(place.op).kind in WEIGHTED:
            solve_bias(graph, graph.op(place.op), recipe)
    return graph

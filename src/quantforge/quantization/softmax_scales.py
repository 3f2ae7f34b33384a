"""Shares of a softmax on scales that integer kernels can compute.

A softmax stored in 8 bits has a scale of at least 1/256, the one that holds 0..1. A finer one would suit shares that
are all small, as behind an attention over many tokens, but ONNX Runtime's QLinearSoftmax (1.31), which it makes of
DequantizeLinear, Softmax and QuantizeLinear, multiplies by the inverse of the scale in 32 bits, which overflows from
512 on and returns zeros. The ONNX quantizer of Vitis AI does not look at the data here either: it always takes 1/256
or, for symmetric ranges, 1/128.
"""

from __future__ import annotations

from dataclasses import replace

from quantforge.graph import Graph
from quantforge.numerics.formats import IntFormat
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.solve import solve_bias

LEAST = 1.0 / 256.0
_NARROW = 8
_KINDS = ("softmax", "masked-softmax", "dpu-softmax")


def with_softmax_scales(graph: Graph, places: Places, recipe: Recipe) -> Graph:
    """A copy of a solved `graph` with such specs, and biases solved for them; itself where nothing changes."""
    changed: dict[str, float] = {}
    for group in places.groups:
        makers = [graph.producer(name) for name in group.values]
        if any(maker is not None and maker.kind in _KINDS for maker in makers):
            specs = {name: graph.value(name).quant for name in group.values}
            changed |= {
                name: LEAST
                for name, spec in specs.items()
                if spec is not None
                and isinstance(spec.format, IntFormat)
                and spec.format.bits <= _NARROW
                and spec.axis is None
                and spec.scale[0] < LEAST
            }
    if not changed:
        return graph
    graph = graph.copy()
    for name, scale in changed.items():
        value = graph.value(name)
        if value.quant is not None:
            graph.set_value(replace(value, quant=replace(value.quant, scale=(scale,))))
    for place in places.biases:
        if graph.op(place.op).inputs[0] in changed:
            solve_bias(graph, graph.op(place.op), recipe)
    return graph

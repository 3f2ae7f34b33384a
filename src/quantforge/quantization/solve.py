"""From statistics to specs: put a `QuantSpec` on every value the placement chose.

Activations come from the sketches of their group, weights and other constants from their data, and biases last,
because their scale or shift depends on both.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from quantforge.calibration.methods import ScaleKind
from quantforge.calibration.runner import available_processors
from quantforge.diagnostics import UnsupportedError
from quantforge.graph import Graph, Op, QuantSpec
from quantforge.numerics.formats import FloatFormat
from quantforge.ops.channels import output_channel_axis
from quantforge.quantization.biases import bias_spec
from quantforge.quantization.places import Places, SpecGroup
from quantforge.quantization.recipe import Recipe, TensorRule
from quantforge.quantization.rules import bias_rule, weight_rule
from quantforge.quantization.weights import constant_spec

ActivationSpec = Callable[[SpecGroup, TensorRule], QuantSpec]


def solve(graph: Graph, places: Places, recipe: Recipe, activation_spec: ActivationSpec) -> Graph:
    """A copy of `graph` with specs. `activation_spec` gives the spec of a group under its rule.

    Raises:
        UnsupportedError: Q0510 for weights that are no constants.
    """
    graph = graph.copy()
    for group in places.groups:
        spec = group_spec(graph, group, recipe, activation_spec)
        for name in group.values:
            _set(graph, name, spec)
    with ThreadPoolExecutor(available_processors()) as pool:  # the search over weights runs without the GIL
        specs = pool.map(lambda place: weight_spec(graph, graph.op(place.op), recipe), places.weights)
        for place, spec in zip(places.weights, list(specs), strict=True):
            _set(graph, place.value, spec)
    for bias in places.biases:
        solve_bias(graph, graph.op(bias.op), recipe)
    return graph


def respecified(
    graph: Graph, places: Places, recipe: Recipe, chosen: Callable[[SpecGroup, QuantSpec], QuantSpec | None]
) -> Graph:
    """A copy of a solved `graph` with the specs that `chosen` makes of groups' own, and biases solved for them.

    `chosen` sees a group and the spec of each of its values; None leaves that one as it is.
    """
    graph, changed = graph.copy(), set[str]()
    for group in places.groups:
        for value in map(graph.value, group.values):
            spec = None if value.quant is None else chosen(group, value.quant)
            if spec is not None:
                graph.set_value(replace(value, quant=spec))
                changed.add(value.name)
    for place in places.biases:
        if graph.op(place.op).inputs[0] in changed:
            solve_bias(graph, graph.op(place.op), recipe)
    return graph


def group_spec(graph: Graph, group: SpecGroup, recipe: Recipe, activation_spec: ActivationSpec) -> QuantSpec:
    """The spec of one group; that of a graph output has headroom where scales are free."""
    rule = group.rule
    if isinstance(rule.format, FloatFormat):
        return QuantSpec(rule.format)
    data = graph.value(group.values[0]).const
    if data is not None and len(group.values) == 1:
        return constant_spec(data, rule, None)
    spec = activation_spec(group, rule)
    if rule.scales is ScaleKind.FLOAT and any(name in graph.outputs for name in group.values):
        wider = (float(np.float32(scale * (1.0 + recipe.output_margin))) for scale in spec.scale)
        return replace(spec, scale=tuple(wider))
    return spec


def weight_spec(graph: Graph, op: Op, recipe: Recipe) -> QuantSpec:
    """The spec of the weights (input 1) of `op`."""
    name = op.inputs[1]
    data = graph.const(op, 1)
    if data is None:
        raise UnsupportedError(
            "Q0510", op.name, f"computed weights {name}", "constant weights", "keep it in float"
        )
    rule = weight_rule(op, recipe)
    return constant_spec(data, rule, output_channel_axis(op) if rule.per_channel else None)


def solve_bias(graph: Graph, op: Op, recipe: Recipe) -> None:
    """Give the bias of `op` in `graph` the spec that fits its constant, its input, weights and output."""
    rule, bias = bias_rule(op, recipe), graph.const(op, 2)
    if bias is None or rule.keep_float:
        return
    x, w = graph.value(op.inputs[0]).quant, graph.value(op.inputs[1]).quant
    y = graph.value(output_value(graph, op)).quant
    spec = bias_spec(bias, rule, x, w, y, _least_bias(graph, op, recipe))
    if spec is not None:
        _set(graph, op.inputs[2], spec)


def _least_bias(graph: Graph, op: Op, recipe: Recipe) -> int | None:
    """The lower bound of shift_bias where it is not the usual one."""
    limits = recipe.shift_limits
    if limits is None:
        return None
    leaky = any(reader.kind == "leaky-relu" for reader in graph.consumers(op.outputs[0]))
    return 0 if leaky and limits.leaky_bias else limits.least_bias


def output_value(graph: Graph, op: Op) -> str:
    """The value that holds the result of `op`, which sits behind the activation where one is fused."""
    value = graph.value(op.outputs[0])
    followers = graph.consumers(value.name)
    if value.quant is None and len(followers) == 1 and value.name not in graph.outputs:
        return followers[0].outputs[0]
    return value.name


def _set(graph: Graph, name: str, spec: QuantSpec) -> None:
    graph.set_value(replace(graph.value(name), quant=spec))

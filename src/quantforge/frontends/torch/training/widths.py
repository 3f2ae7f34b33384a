"""Recipes of training: one width, widths of weights and activations, widths by kind of operator.

Mixed widths (option mix_bit of the PyTorch quantizer): convolutions and matrix products take weights and inputs of
`bits` bits, everything else works on 8. A value has the width of its widest reader, 8 where it leaves the graph; in
front of a convolution that needs less, an operator of its own stores it once more.
"""

from __future__ import annotations

from dataclasses import replace

from quantforge.frontends.torch.recipes import dpu_recipe
from quantforge.graph import Graph, Op, Value
from quantforge.numerics.formats import IntFormat
from quantforge.ops.channels import WEIGHTED
from quantforge.quantization.places import Places, SpecGroup
from quantforge.quantization.recipe import Override, Recipe

WIDE = 8


def training_recipe(
    weight_bits: int, activation_bits: int, layer_bits: tuple[tuple[str, int], ...] = ()
) -> Recipe:
    """The DPU's recipe with these widths; biases have the wider one.

    Args:
        weight_bits: Of weights.
        activation_bits: Of everything between operators.
        layer_bits: Globs of layer names, and the width of their weights.

    >>> recipe = training_recipe(4, 8, (("fc", 8),))
    >>> str(recipe.weights.format), str(recipe.bias.format), recipe.overrides[0].op
    ('int4', 'int8', 'fc')
    """
    recipe = dpu_recipe(activation_bits)
    return replace(
        recipe,
        weights=replace(recipe.weights, format=IntFormat(weight_bits)),
        bias=replace(recipe.bias, format=IntFormat(max(weight_bits, activation_bits))),
        overrides=tuple(Override(op=name, format=IntFormat(bits)) for name, bits in layer_bits),
    )


def mixed_widths(graph: Graph, places: Places, bits: int) -> tuple[Graph, Places]:
    """The graph and its placement with activations of mixed widths."""
    graph = graph.copy()
    groups = [_group(graph, group, bits) for group in places.groups]
    for group in tuple(groups):
        form = group.rule.format
        if isinstance(form, IntFormat) and form.bits > bits:
            narrow = replace(group.rule, format=IntFormat(bits))
            for value in group.values:
                groups += [SpecGroup((name,), (name,), narrow) for name in _stored_again(graph, value)]
    return graph, replace(places, groups=tuple(groups))


def _group(graph: Graph, group: SpecGroup, bits: int) -> SpecGroup:
    readers = [
        (value, op)
        for value in group.values
        for op in graph.consumers(value)
        if not set(op.outputs) & set(group.values)
    ]
    wide = any(value in graph.outputs for value in group.values) or any(
        "pool" in op.kind or op.kind.startswith("reduction-") for op in _inside(graph, group)
    )
    narrow = bool(readers) and not wide and all(_is_narrow(op, value) for value, op in readers)
    return replace(group, rule=replace(group.rule, format=IntFormat(bits if narrow else WIDE)))


def _inside(graph: Graph, group: SpecGroup) -> list[Op]:
    """The operators that read and write values of a group: those that pool have 8 bits on both sides."""
    readers = (op for value in group.values for op in graph.consumers(value))
    return [op for op in readers if set(op.outputs) & set(group.values)]


def _is_narrow(op: Op, value: str) -> bool:
    return op.kind in WEIGHTED and not op.kind.startswith("transposed") and op.inputs[0] == value


def _stored_again(graph: Graph, name: str) -> list[str]:
    """Put an operator in front of every narrow reader of `name`; returns the values between."""
    made = []
    for op in graph.consumers(name):
        if not _is_narrow(op, name):
            continue
        value = graph.value(name)
        fresh = graph.fresh_name(f"{op.name}.input")
        graph.set_value(Value(fresh, value.shape, value.dtype))
        graph.add_op(Op("identity", fresh, (name,), (fresh,)), before=op.name)
        graph.replace_op(replace(op, inputs=(fresh, *op.inputs[1:])))
        made.append(fresh)
    return made

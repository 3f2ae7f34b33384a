"""Where the bias of a layer is: its third input, or the constant of the sum behind a product.

    conv(x, W, b),  inner-product(x, W, b),  add(matmul(x, W), b)

Exporters write the last form for products of more than two axes; `passes.units.bias` recognises it. The constant of
such a sum is usually in float; where a recipe gave it a spec, it keeps that when it is moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from quantforge.graph import Graph, Op
from quantforge.graph.quantize import fake_quantize_value
from quantforge.ops.channels import WEIGHTED
from quantforge.passes.units.bias import find_biases
from quantforge.quantization.channel_statistics import Means
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.solve import solve_bias


@dataclass(frozen=True)
class LayerBias:
    """The bias of one layer.

    Attributes:
        layer: The operator with the weights.
        holder: The operator that reads the bias and makes the layer's result: the layer itself, or the sum behind.
        place: Which of the holder's inputs it is.
    """

    layer: str
    holder: str
    place: int

    def value(self, graph: Graph) -> str:
        """The name of the constant."""
        return graph.op(self.holder).inputs[self.place]

    def result(self, graph: Graph) -> str:
        """The value that holds the layer's result, bias included."""
        return graph.op(self.holder).outputs[0]


def layer_biases(graph: Graph) -> Mapping[str, LayerBias]:
    """The biases of all layers of `graph` that have one, by the layer's name, in the order of the graph."""
    behind = {unit.ops[0]: graph.op(unit.ops[-1]) for unit in find_biases(graph).found}
    found = {}
    for op in graph.ops:
        if op.name in behind:
            holder = behind[op.name]
            place = 1 if holder.inputs[0] == op.outputs[0] else 0
            found[op.name] = LayerBias(op.name, holder.name, place)
        elif op.kind in WEIGHTED and op.kind != "matmul" and graph.const(op, 2) is not None:
            found[op.name] = LayerBias(op.name, op.name, 2)
    return found


def move_bias(graph: Graph, bias: LayerBias, shift: Means, recipe: Recipe) -> Means:
    """Subtract `shift` from a bias of `graph`; returns what its grid makes of the new one, minus the new one.

    The spec of a layer's own bias is solved anew. The constant of a sum is copied where others read it as well.
    """
    value = graph.value(bias.value(graph))
    assert value.const is not None  # noqa: S101  layer_biases saw it
    wanted = np.asarray(value.const - shift)
    own, name = bias.holder == bias.layer, value.name
    if not own and (len(graph.consumers(name)) > 1 or name in graph.outputs):
        name = graph.fresh_name(f"{name}.{bias.layer}")
        graph.replace_op(_reading(graph.op(bias.holder), bias.place, name))
    data = wanted.astype(value.const.dtype)
    graph.set_value(replace(value, name=name, const=data, shape=data.shape))
    if own:
        solve_bias(graph, graph.op(bias.layer), recipe)
    spec = graph.value(name).quant
    return np.zeros(1) if spec is None else np.asarray(fake_quantize_value(wanted, spec) - wanted).reshape(-1)


def _reading(op: Op, place: int, name: str) -> Op:
    return replace(op, inputs=tuple(name if at == place else each for at, each in enumerate(op.inputs)))

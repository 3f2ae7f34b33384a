"""Recognise a product with weights and the sum with a bias behind it as one operator.

    y = x W + b

ONNX has no product of more than two axes with a bias, so exporters write two operators. What is stored is y; between
the two a rounding would only cost, and b, which has its own scale in no integer kernel, stays as it is.
"""

from __future__ import annotations

from quantforge.graph import Array, Graph, Op
from quantforge.ops.channels import output_channel_axis
from quantforge.passes.matching import beside_constant
from quantforge.passes.result import Note
from quantforge.passes.units.unit import Unit, Units, unit_of

NAME = "group-bias"


def find_biases(graph: Graph) -> Units:
    """Every matmul with constant weights whose only reader adds a constant per output channel; others are noted."""
    units, notes = [], []
    for op in graph.ops:
        weights = graph.const(op, 1) if op.kind == "matmul" else None
        add = _sum_behind(graph, op) if weights is not None else None
        found = None if add is None else beside_constant(graph, add)
        if weights is None or add is None or found is None:
            continue
        bias = found[1]
        if not _is_bias(bias, weights, output_channel_axis(op)):
            text = f"{add.name} adds a constant {bias.shape}, which is no number per channel"
            notes.append(Note(NAME, op.name, False, text))
            continue
        unit = unit_of(graph, "matmul", NAME, [op.name, add.name], add.outputs[0], op.inputs)
        if isinstance(unit, Unit):
            units.append(unit)
        else:
            notes.append(unit)
    return Units(tuple(units), tuple(notes))


def _sum_behind(graph: Graph, op: Op) -> Op | None:
    readers = graph.consumers(op.outputs[0])
    if len(readers) != 1 or readers[0].kind != "eltwise-add" or op.outputs[0] in graph.outputs:
        return None
    return readers[0]


def _is_bias(bias: Array, weights: Array, axis: int | None) -> bool:
    channels = 1 if axis is None else weights.shape[axis]
    return bias.size in (1, channels) and (bias.ndim == 0 or bias.shape[-1] == bias.size)

"""Which operators read through a block format, and along which axis.

Products read in blocks along the axis they sum over, which is what lets hardware multiply mantissas and add the
block exponents once: axis 1 of what a convolution reads and of its weights, the last axis of a linear layer's input
and its weights' input channels, the last axis of a matrix product's left operand and the second last of its right.
(Weights of transposed convolutions keep axis 1, as in the original, although that counts output channels.) Functions
with a table in hardware read in a float format: softmax, sigmoid, tanh, gelu, layer normalization, global average
pooling. Everything else stays float32, biases included.
Source: the BFP chapter of the PyTorch quantizer (user guide UG1414, "Using the New Data Format").
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from quantforge.graph import Attr, Graph, Op, Origin, Value
from quantforge.numerics.block_float import BlockFormat
from quantforge.numerics.formats import BFLOAT16, FloatFormat
from quantforge.ops.channels import WEIGHTED, input_channel_axis
from quantforge.ops.fake_quantize import KIND, stored

NAME = "place-blocks"
_IN_FLOAT_FORMAT = frozenset({"softmax", "sigmoid", "tanh", "gelu", "layernorm"})


@dataclass(frozen=True)
class BlockRecipe:
    """A block format for products, and the float format for functions with a table (None: they stay float32)."""

    format: BlockFormat
    functions: FloatFormat | None = BFLOAT16


@dataclass(frozen=True)
class Reading:
    """Input number `index` of an op, read in `format` along `axis` (counted from the front)."""

    index: int
    format: BlockFormat | FloatFormat
    axis: int


def readings(graph: Graph, op: Op, recipe: BlockRecipe) -> tuple[Reading, ...]:
    """What `op` reads in another format than float32."""
    first = graph.value(op.inputs[0]) if op.inputs and op.inputs[0] else None
    if first is None or first.shape is None or first.dtype != "float32":
        return ()
    last = len(first.shape) - 1
    if _is_function(op):
        return () if recipe.functions is None else (Reading(0, recipe.functions, last),)
    if op.kind not in WEIGHTED:
        return ()
    if op.kind == "matmul":
        right = len(graph.value(op.inputs[1]).shape or (0, 0)) - 2
        return Reading(0, recipe.format, last), Reading(1, recipe.format, right)
    if op.kind == "inner-product":
        return Reading(0, recipe.format, last), Reading(1, recipe.format, input_channel_axis(op) or 0)
    return Reading(0, recipe.format, 1), Reading(1, recipe.format, 1)


def _is_function(op: Op) -> bool:
    return op.kind in _IN_FLOAT_FORMAT or (op.kind.startswith("avgpool") and bool(op.attrs.get("global")))


def place_blocks(graph: Graph, recipe: BlockRecipe, keep_float: Collection[str] = ()) -> Graph:
    """A copy of `graph` with a fake-quantize op in front of every such reader; constants are stored now.

    Args:
        graph: A float graph.
        recipe: The formats.
        keep_float: Names of operators that read float32 whatever they are.
    """
    graph = graph.copy()
    made: dict[tuple[str, str, int], str] = {}
    for op in graph.ops:
        if op.name in keep_float:
            continue
        inputs = list(op.inputs)
        for reading in readings(graph, op, recipe):
            key = (op.inputs[reading.index], str(reading.format), reading.axis)
            if key not in made:
                made[key] = _stored(graph, op, reading)
            inputs[reading.index] = made[key]
        graph.replace_op(replace(op, inputs=tuple(inputs)))
    graph.prune()
    return graph


def _stored(graph: Graph, reader: Op, reading: Reading) -> str:
    """The name of the value that `reader` reads instead."""
    value = graph.value(reader.inputs[reading.index])
    if value.const is not None:
        data = stored(value.const, reading.format, reading.axis)
        alone = len(graph.consumers(value.name)) == 1 and reader.inputs.count(value.name) == 1
        name = value.name if alone else graph.fresh_name(f"{value.name}.{reading.format}")
        return graph.set_value(replace(value, name=name, const=data)).name
    name = graph.fresh_name(f"{value.name}.{reading.format}")
    graph.set_value(Value(name, value.shape, value.dtype))
    attrs: dict[str, Attr] = {"format": str(reading.format), "axis": reading.axis}
    made = Op(KIND, name, (value.name,), (name,), attrs, Origin((), NAME))
    graph.add_op(made, before=reader.name)
    return name

"""A graph to XIR: the flat xmodel of a float or quantized model that is not compiled yet.

Images become NHWC, weights OHWI; a value with a power-of-two spec gets a `fix` operator behind it. Operators are
named after the values they compute, their fixes `<value>_fix`, constants after theirs. Attributes of the xmodel
say what became of the values: `return_ops` lists the operators of the graph's outputs in order,
`quantforge_values` maps each value to the operator that holds it, and `quantforge_orders` to the value's axes in
the order in which they lie in memory (sizes of 1 apart).

The result follows what the PyTorch exporter of Vitis AI writes before compilation (user guide UG1414, chapter 5),
with two extensions: averages carry `avg_exact`, since ONNX divides by the exact count where a DPU multiplies by a
rounded reciprocal, and operators that XIR does not know are kept as ``onnx:<type>``.
"""

from __future__ import annotations

import numpy as np

from quantforge.compiler.lowering import layout
from quantforge.compiler.lowering.concrete import InputShapes, concrete
from quantforge.compiler.lowering.foreign import NodeOf, keep_foreign
from quantforge.compiler.lowering.table import RULES
from quantforge.compiler.lowering.writer import Held, NotInXirError, Writer, data_type, int32s
from quantforge.diagnostics import InputError, InternalError
from quantforge.graph import Graph, Op
from quantforge.xmodel.model import Attr, Subgraph, XModel


def lower(
    graph: Graph,
    *,
    batch: int = 1,
    input_shapes: InputShapes | None = None,
    node_of: NodeOf | None = None,
) -> XModel:
    """`graph` in XIR.

    Args:
        graph: A float or quantized graph with channels-first images and without quantize operators.
        batch: Size of a symbolic batch axis.
        input_shapes: Shapes of inputs by name, in the graph's order of axes, for models with other symbolic sizes.
        node_of: How the door of the model's framework writes an operator that XIR does not know.

    Raises:
        InputError: Q1150 or Q1151 for unknown sizes, Q1152 for a spec that is no power of two per tensor, Q1153 for
            an operator that neither XIR nor a single ONNX node with one output can express.
    """
    fixed = concrete(graph, batch, input_shapes)
    model = XModel(fixed.name or "graph")
    writer = Writer(fixed, model)
    for name in fixed.inputs:
        _lower_input(writer, name)
    for op in fixed.ops:
        writer.begin(op)
        _lower_op(writer, op, node_of)
    returned = [_output(writer, name).op for name in fixed.outputs]
    _prune(model, returned)
    _describe(writer, returned)
    model.root = Subgraph("root", ops=list(model.ops))
    return model


def _lower_input(writer: Writer, name: str) -> None:
    try:
        _input(writer, name)
    except NotInXirError as reason:
        raise InputError(
            "Q1153", f"input {name!r}", str(reason), "numbers", "decode the data before the model"
        ) from reason


def _input(writer: Writer, name: str) -> None:
    """A data operator; images in XIR's order of axes, lines and volumes too when a window slides over them."""
    value = writer.graph.value(name)
    writer.begin(Op("data", name, (), (name,)))
    rank = len(writer.shape(name))
    windowed = any(op.kind.endswith(f"{rank - 2}d") for op in writer.graph.consumers(name))
    order = layout.channels_last(rank) if rank == 4 or windowed else layout.identity(rank)
    sizes = layout.stored(writer.shape(name), order) or (1,)
    attrs = {"shape": int32s(sizes), "data_type": Attr("string", str(data_type(value)))}
    writer.output(Op("data", name, (), (name,)), "data", {}, attrs, order)


def _lower_op(writer: Writer, op: Op, node_of: NodeOf | None) -> None:
    rule = RULES.get(op.kind)
    try:
        if rule is None:
            raise NotInXirError(f"{op.kind}, which XIR does not have")
        rule(writer, op)
    except NotInXirError as reason:
        keep_foreign(writer, op, node_of, str(reason))


def _output(writer: Writer, name: str) -> Held:
    """A value for the caller: an image that lies in XIR's order stays so, anything else is in the graph's order."""
    if name not in writer.held:
        writer.begin(Op("const", name, (), (name,)))
        return writer.input(Op("identity", name, (name,), (name,)))
    held = writer.held[name]
    image, rank = layout.channels_last(len(held.shape)), len(held.shape)
    as_image = layout.solid(held.shape, held.order) == layout.solid(held.shape, image)
    writer.held[name] = writer.view(held, image if as_image else layout.identity(rank))
    return writer.held[name]


def _prune(model: XModel, returned: list[str]) -> None:
    """Drop what no output needs; inputs stay."""
    needed, pending = set(), list(returned)
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending.extend(model.ops[name].producers)
    model.ops = {name: op for name, op in model.ops.items() if name in needed or op.kind == "data"}


def _describe(writer: Writer, returned: list[str]) -> None:
    """The attributes that say where the graph's values went."""
    model = writer.model
    model.attrs["origin"] = Attr("string", "onnx")
    model.attrs["return_ops"] = Attr("string_vec", tuple(returned))
    kept = {
        name: held
        for name, held in writer.held.items()
        if held.op in model.ops
        and held.lanes is None
        and (name in writer.graph.outputs or not writer.graph.value(name).is_const)
    }
    model.attrs["quantforge_values"] = Attr(
        "map_string_2_string", {name: held.op for name, held in kept.items()}
    )
    orders = {name: held.order for name, held in kept.items() if held.order}
    model.attrs["quantforge_orders"] = Attr("map_string_2_int32_vec", orders)
    for op in model.ops.values():
        if not np.all(np.asarray(op.tensor.shape) > 0):
            raise InternalError("Q1190", op.name, f"{op.tensor.shape}", "positive sizes", "report this bug")

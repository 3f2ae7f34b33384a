"""Look an imported node up in the table of kinds again, when more of its inputs are constant than before."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from onnx import NodeProto

from quantforge.frontends.onnx.fold import Body, TensorType
from quantforge.frontends.onnx.kinds import kind_of
from quantforge.frontends.onnx.native import NativeModel, NativeNode
from quantforge.frontends.onnx.view import Mapped
from quantforge.graph import Graph, Op, Origin


def look_up_again(graph: Graph, op: Op) -> Op:
    """Replace `op` by what its native node means with the constants it reads now; gives the op that stands there.

    An op without a native node, and one whose parameters would have to be recomputed although they are quantized,
    stays as it is.
    """
    native = op.origin.native
    if not isinstance(native, NativeNode) or native.captured or len(native.data) != len(op.inputs):
        return op
    node = _current(op, native)
    body = _body(graph, op, native, node)
    mapped = kind_of(node, body)
    if mapped.kind == "opaque" or (mapped.kind, dict(mapped.attrs)) == (op.kind, dict(op.attrs)):
        return op
    inputs = _inputs(graph, node, mapped)
    if inputs is None:
        return op
    static = {
        index: body.consts[name]
        for index, name in enumerate(node.input)
        if name and index not in mapped.data and name in body.consts
    }
    record = None if mapped.consts else NativeNode(native.proto, mapped.data, static)
    origin = Origin(op.origin.names, op.origin.made_by, record)
    return graph.replace_op(
        replace(op, kind=mapped.kind, inputs=inputs, attrs=dict(mapped.attrs), origin=origin)
    )


def _current(op: Op, native: NativeNode) -> NodeProto:
    """The node with the names its inputs have now."""
    node = NodeProto()
    node.CopyFrom(native.proto)
    for position, index in enumerate(native.data):
        node.input[index] = op.inputs[position]
    return node


def _body(graph: Graph, op: Op, native: NativeNode, node: NodeProto) -> Body:
    """What the table may ask about the node."""
    model = graph.native if isinstance(graph.native, NativeModel) else NativeModel({"": 17}, 8)
    consts = {node.input[index]: array for index, array in native.static.items()}
    types = {}
    for name in (*op.inputs, *op.outputs):
        if not name:
            continue
        value = graph.value(name)
        types[name] = TensorType(value.shape, value.dtype)
        if value.const is not None:
            consts[name] = value.const
    more = op.outputs[1:]  # the table asks whether these have readers
    reads = Counter({name: len(graph.consumers(name)) + (name in graph.outputs) for name in more})
    return Body([node], consts, graph.outputs, model.opsets, model.ir_version, types, reads)


def _inputs(graph: Graph, node: NodeProto, mapped: Mapped) -> tuple[str, ...] | None:
    """Input names; parameters the table reshaped become new constants, those it recomputed refuse (None)."""
    names = [node.input[index] for index in mapped.data]
    for position, index in enumerate(mapped.data):
        if index not in mapped.consts:
            continue
        old, data = graph.value(names[position]), mapped.consts[index]
        same = old.const is not None and np.array_equal(old.const.reshape(-1), data.reshape(-1))
        if old.quant is not None and (not same or old.quant.axis is not None):
            return None
        names[position] = graph.fresh_name(old.name)
        graph.set_value(replace(old, name=names[position], shape=data.shape, const=data))
    return tuple(names)

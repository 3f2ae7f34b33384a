"""One op of a graph as one ONNX node that stands alone: for compilers that keep it for the CPU."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import NodeProto

from quantforge.diagnostics import UnsupportedError
from quantforge.frontends.onnx import lower
from quantforge.frontends.onnx.native import NativeModel, NativeNode
from quantforge.graph import Array, Graph, Op

_DEFAULT_OPSET = 17


@dataclass(frozen=True, eq=False)
class SingleNode:
    """An op as one node.

    Attributes:
        op_type: The ONNX operator.
        proto: The serialized NodeProto with inputs x0, x1, ... ("" where absent) and output y.
        opset: Version of the standard operators it is written for.
        inputs: What x0, x1, ... are: the position of an input of the op, or the array of a static parameter.
        names: A name for each of them.
    """

    op_type: str
    proto: bytes
    opset: int
    inputs: tuple[int | Array, ...]
    names: tuple[str, ...]


def single_node(graph: Graph, op: Op) -> SingleNode | None:
    """`op` as one node with one output; None when ONNX needs several, or the op has a body or several outputs."""
    if len(op.outputs) != 1:
        return None
    native = op.origin.native
    model = graph.native if isinstance(graph.native, NativeModel) else NativeModel({"": _DEFAULT_OPSET}, 8)
    opset = model.opsets.get("", _DEFAULT_OPSET)
    if isinstance(native, NativeNode):
        if native.captured or len(native.data) != len(op.inputs):
            return None
        given: dict[int, int | Array] = {index: at for at, index in enumerate(native.data) if op.inputs[at]}
        return _alone(native.proto, given | dict(native.static), opset)
    return _lowered(graph, op, max(opset, lower.least_opset(op)))


def _alone(proto: NodeProto, given: dict[int, int | Array], opset: int) -> SingleNode:
    node = NodeProto()
    node.CopyFrom(proto)
    names: list[str] = []
    inputs: list[int | Array] = []
    for index, name in enumerate(proto.input):
        node.input[index] = f"x{len(inputs)}" if index in given else ""
        if index in given:
            inputs.append(given[index])
            names.append(name)
    del node.output[:]
    node.output.append("y")
    return SingleNode(node.op_type, node.SerializeToString(), opset, tuple(inputs), tuple(names))


def _lowered(graph: Graph, op: Op, opset: int) -> SingleNode | None:
    """From the kind, as the emitter writes it."""
    arrays: dict[str, Array] = {}

    def constant(stem: str, array: Array) -> str:
        name = stem
        while name in arrays or graph.has_value(name):
            name += "_"
        arrays[name] = array
        return name

    values = graph.input_values(op)
    try:
        nodes = lower.lower(lower.Lowering(op, list(op.inputs), list(op.outputs), values, opset, constant))
    except UnsupportedError:
        return None
    if len(nodes) != 1:
        return None
    given: dict[int, int | Array] = {}
    for index, name in enumerate(nodes[0].input):
        if name in arrays:
            given[index] = arrays[name]
        elif name:
            given[index] = op.inputs.index(name)
    return _alone(nodes[0], given, opset)

"""Operators that XIR does not know: kept as single ONNX nodes for the CPU.

kind ``onnx:<type>``, argument `input` (the node's inputs that are given, in order), attributes `shape` and
`data_type` of the result, as XIR demands of unknown operators, and

    onnx_node    the serialized NodeProto, with absent inputs as ""
    onnx_opset   the version of the standard operators it is written for
    onnx_inputs  for each argument its ONNX element type and shape, such as "bool[1,3]" or "int64[]"
    onnx_output  the same of the result

since XIR has neither booleans nor scalars.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from quantforge.compiler.lowering import layout
from quantforge.compiler.lowering.layout import Sizes
from quantforge.compiler.lowering.writer import NotInXirError, Writer, data_type, int32, int32s, text
from quantforge.diagnostics import InputError
from quantforge.graph import Array, Graph, Op
from quantforge.xmodel.model import Attr, Attrs

# Operators that work element by element: they may stay in the order of axes they find.
_POINTWISE = frozenset(
    {"abs", "sqrt", "log", "erf", "reciprocal", "softplus", "clip", "hard-sigmoid", "gelu", "selu"}
)


class Node(Protocol):
    """An operator as one ONNX node, made by the door of the model's framework.

    `proto` is the serialized NodeProto. `inputs` are those given, in order: the position of an input of the op, or
    an array for a parameter that the op has as an attribute; `names` names them.
    """

    @property
    def op_type(self) -> str:
        """The ONNX operator."""

    @property
    def proto(self) -> bytes:
        """The serialized NodeProto."""

    @property
    def opset(self) -> int:
        """Version of the standard operators."""

    @property
    def inputs(self) -> tuple[int | Array, ...]:
        """What is given."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what is given."""


NodeOf = Callable[[Graph, Op], "Node | None"]


def keep_foreign(writer: Writer, op: Op, node_of: NodeOf | None, why: str) -> None:
    """Write `op` as one ONNX node on values in the graph's own order of axes.

    Raises:
        InputError: Q1153 when it is no single node with one output.
    """
    node = None if node_of is None else node_of(writer.graph, op)
    if node is None or len(op.outputs) != 1:
        outputs = f" and {len(op.outputs)} outputs" if len(op.outputs) > 1 else ""
        raise InputError(
            "Q1153",
            f"operator {op.name!r}",
            f"{why}{outputs}",
            "an operator of XIR, or one ONNX node with one output",
            "replace the operator, or cut it off into the code before or after the model",
        )
    try:
        _write(writer, op, node)
    except NotInXirError as reason:
        raise InputError(
            "Q1153",
            f"operator {op.name!r}",
            str(reason),
            "numeric tensors",
            "cut the operator off into the code before or after the model",
        ) from reason


def _write(writer: Writer, op: Op, node: Node) -> None:
    names, types = [], []
    order = layout.identity(len(writer.shape(op.outputs[0])))
    lanes = None
    if op.kind in _POINTWISE:
        order, lanes = writer.input(op).order, writer.input(op).lanes
    for given, label in zip(node.inputs, node.names, strict=True):
        if isinstance(given, int):
            held = writer.input(op, given)
            placed = order if op.kind in _POINTWISE else layout.identity(len(held.shape))
            held = writer.view(held, placed)
            names.append(held.op)
            types.append(_type(writer.graph.value(op.inputs[given]).dtype, held.stored))
        else:
            names.append(writer.literal(label, given))
            types.append(_type(str(given.dtype), given.shape))
    out = writer.graph.value(op.outputs[0])
    shape = layout.stored(writer.shape(out.name), order)
    attrs: Attrs = {
        "shape": int32s(shape or (1,)),
        "data_type": text(str(data_type(out))),
        "onnx_node": Attr("bytes", node.proto),
        "onnx_opset": int32(node.opset),
        "onnx_inputs": Attr("string_vec", tuple(types)),
        "onnx_output": text(_type(out.dtype, shape)),
    }
    writer.output(op, f"onnx:{node.op_type}", {"input": names}, attrs, order, lanes=lanes)


def _type(dtype: str, shape: Sizes) -> str:
    return f"{dtype}[{','.join(str(size) for size in shape)}]"

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

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from quantforge.compiler.lowering import layout
from quantforge.compiler.lowering.layout import Sizes
from quantforge.compiler.lowering.writer import Held, NotInXirError, Writer, int32, int32s, text
from quantforge.diagnostics import InputError
from quantforge.graph import Array, Graph, Op
from quantforge.xmodel.model import Attr, Attrs


@dataclass(frozen=True)
class Node:
    """An operator as one ONNX node: its type, the serialized NodeProto, its inputs in order.

    An input is the position of an input of the op, or an array for a parameter that is an attribute of the op.
    """

    op_type: str
    proto: bytes
    opset: int
    inputs: tuple[int | Array, ...]
    names: tuple[str, ...] = field(default=())


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
    for given, label in zip(node.inputs, node.names, strict=True):
        if isinstance(given, int):
            held = _plain(writer, writer.input(op, given))
            names.append(held.op)
            types.append(_type(writer.graph.value(op.inputs[given]).dtype, held.shape))
        else:
            names.append(writer.literal(label, given))
            types.append(_type(str(given.dtype), given.shape))
    out, shape = writer.graph.value(op.outputs[0]), writer.shape(op.outputs[0])
    attrs: Attrs = {
        "shape": int32s(shape or (1,)),
        "data_type": text(str(_data_type_name(writer, op))),
        "onnx_node": Attr("bytes", node.proto),
        "onnx_opset": int32(node.opset),
        "onnx_inputs": Attr("string_vec", tuple(types)),
        "onnx_output": text(_type(out.dtype, shape)),
    }
    args: Mapping[str, list[str]] = {"input": names}
    writer.output(op, f"onnx:{node.op_type}", args, attrs)


def _plain(writer: Writer, held: Held) -> Held:
    return writer.view(held, layout.identity(len(held.shape)))


def _data_type_name(writer: Writer, op: Op) -> str:
    from quantforge.compiler.lowering.writer import data_type

    return str(data_type(writer.graph.value(op.outputs[0])))


def _type(dtype: str, shape: Sizes) -> str:
    return f"{dtype}[{','.join(str(size) for size in shape)}]"

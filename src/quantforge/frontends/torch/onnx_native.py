"""ONNX nodes for opaque torch calls whose sizes are known only when the model runs.

The graph has no form for a shape that depends on the batch; ONNX has: Shape of the graph input that tells the size,
Concat with the sizes that are fixed, then Expand or ConstantOfShape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from quantforge.frontends.onnx.native import NativeNode
from quantforge.frontends.torch.names import packet_name
from quantforge.frontends.torch.native import NativeCall, NativeModule, Size
from quantforge.graph import Graph, Op, Origin, Value

_FILLS = {"zeros": 0, "ones": 1, "full": None}


def with_onnx_nodes(graph: Graph) -> Graph:
    """A copy of `graph` in which such calls carry ONNX nodes; other opaque calls stay as they are."""
    written = Graph(graph.name, graph.values, (), graph.inputs, graph.outputs)
    symbols = graph.native.symbols if isinstance(graph.native, NativeModule) else {}
    for op in graph.ops:
        native = op.origin.native
        if (
            op.kind != "opaque"
            or not isinstance(native, NativeCall)
            or not _write(written, op, native, symbols)
        ):
            written.add_op(op)
    return written


def _write(graph: Graph, op: Op, native: NativeCall, symbols: Any) -> bool:
    """Add the nodes for `op`; False when it is none of the calls known here."""
    name = packet_name(native.target)
    if name == "expand" and len(op.inputs) == 1:
        sizes = [1 if size == -1 else size for size in native.args[1]]
        shape = _shape(graph, op, sizes, symbols)
        if shape is not None:
            _node(graph, op.name, "Expand", (op.inputs[0], shape), op.outputs)
        return shape is not None
    if name in _FILLS and not op.inputs:
        fill = native.args[1] if _FILLS[name] is None else _FILLS[name]
        shape = _shape(graph, op, list(native.args[0]), symbols)
        if shape is not None:
            value = numpy_helper.from_array(np.array([fill], graph.value(op.outputs[0]).dtype))
            _node(graph, op.name, "ConstantOfShape", (shape,), op.outputs, value=value)
        return shape is not None
    return False


def _shape(graph: Graph, op: Op, sizes: list[Any], symbols: Any) -> str | None:
    """The value that holds the shape; None when a size is more than a number or a symbol."""
    parts = []
    for index, size in enumerate(sizes):
        name = graph.fresh_name(f"{op.name}.size{index}")
        if isinstance(size, Size):
            source = symbols.get(str(size.expression))
            if source is None:
                return None
            graph.set_value(Value(name, (1,), "int64"))
            _node(graph, name, "Shape", (source[0],), (name,), start=source[1], end=source[1] + 1)
        else:
            graph.set_value(Value(name, (1,), "int64", np.array([size], np.int64)))
        parts.append(name)
    shape = graph.fresh_name(f"{op.name}.shape")
    graph.set_value(Value(shape, (len(parts),), "int64"))
    _node(graph, shape, "Concat", tuple(parts), (shape,), axis=0)
    return shape


def _node(
    graph: Graph, name: str, op_type: str, inputs: tuple[str, ...], outputs: tuple[str, ...], **attrs: Any
) -> None:
    make: Callable[..., Any] = helper.make_node
    record = NativeNode(make(op_type, list(inputs), list(outputs), name, **attrs), tuple(range(len(inputs))))
    said = {"type": op_type, "domain": ""}
    graph.add_op(
        Op("opaque", graph.fresh_name(f"{name}.node"), inputs, outputs, said, Origin((name,), None, record))
    )

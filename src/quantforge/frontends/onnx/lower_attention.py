"""masked-softmax as ONNX nodes: masks are added or chosen by, softmax, and nothing where a mask is false."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from quantforge.frontends.onnx.lower import Lowering


def masked_softmax(op: Lowering) -> list[Any]:
    """Add for masks of floats, And and Where for those of booleans, around one Softmax."""
    stem, nodes = op.op.outputs[0], list[Any]()

    def node(op_type: str, inputs: list[str], **attrs: Any) -> str:
        name = f"{stem}_mask{len(nodes)}"
        nodes.append(op.node(op_type, inputs, [name], **attrs))
        nodes[-1].name = f"{op.op.name}_{op_type.lower()}{len(nodes)}"
        return name

    x, kept = op.inputs[0], ""
    lowest = op.float("lowest", float(np.finfo(op.dtype).min))
    for name, value in zip(op.inputs[1:], op.values[1:], strict=True):
        if value is not None and value.dtype == "bool":
            kept = node("And", [kept, name]) if kept else name
        else:
            x = node("Max", [node("Add", [x, name]), lowest])
    if kept:
        x = node("Where", [kept, x, lowest])
    shares = node("Softmax", [x], axis=op.attr("axis"))
    if kept:
        return [*nodes, op.node("Where", [kept, shares, op.float("nothing", 0.0)])]
    nodes[-1].output[0] = op.outputs[0]
    return nodes

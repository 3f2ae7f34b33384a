"""dpu-softmax as ONNX nodes that ONNX Runtime runs: float32, with a Cast to bfloat16 and back where it rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from quantforge.ops.dpu_softmax import LARGEST, LN_2, LOG2_E, POLYNOMIAL

if TYPE_CHECKING:
    from quantforge.frontends.onnx.lower import Lowering


def dpu_softmax(op: Lowering) -> list[Any]:
    """The steps of `ops.dpu_softmax`; nodes are called after the operator, as /exp_poly, /exp_sum and /div."""
    nodes = list[Any]()

    def node(op_type: str, part: str, *inputs: str, **attrs: Any) -> str:
        name = f"{op.op.name}/{part}"
        nodes.append(op.node(op_type, list(inputs), [name], **attrs))
        nodes[-1].name = name
        return name

    def number(part: str, value: float | np.float32) -> str:
        return op.constant(f"{op.op.name}/{part}", np.asarray(value, np.float32))

    def narrow(part: str, name: str) -> str:
        half = node("Cast", f"{part}_bf16", name, to=TensorProto.BFLOAT16)
        return node("Cast", part, half, to=TensorProto.FLOAT)

    bounds = number("lowest", -LARGEST), number("largest", LARGEST)
    held = narrow("exp_poly/x", node("Clip", "exp_poly/held", op.inputs[0], *bounds))
    whole = node("Floor", "exp_poly/t", node("Mul", "exp_poly/log2", held, number("log2_e", LOG2_E)))
    rest = node("Sub", "exp_poly/r", held, node("Mul", "exp_poly/part", whole, number("ln_2", LN_2)))
    power = number("c0", POLYNOMIAL[0])
    for index, term in enumerate(POLYNOMIAL[1:], start=1):
        product = node("Mul", f"exp_poly/m{index}", power, rest)
        power = narrow(
            f"exp_poly/p{index}", node("Add", f"exp_poly/a{index}", product, number(f"c{index}", term))
        )
    scale = node("Pow", "exp_poly/scale", number("two", 2.0), whole)
    powers = node("Mul", "exp_poly/e", power, scale)
    axes = op.constant(f"{op.op.name}/axes", np.asarray([op.attr("axis")], np.int64))
    total = narrow("exp_sum/s", node("ReduceSum", "exp_sum/sum", powers, axes, keepdims=1))
    narrow("output_cast", node("Div", "div", powers, total))
    nodes[-1].output[0] = op.outputs[0]
    return nodes

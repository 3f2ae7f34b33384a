"""Reductions over axes, cast, and the index of the largest element."""

from __future__ import annotations

from quantforge.compiler.lowering import layout
from quantforge.compiler.lowering.layout import Order
from quantforge.compiler.lowering.writer import (
    NotInXirError,
    Rule,
    Writer,
    data_type,
    flag,
    int32,
    int32s,
    text,
)
from quantforge.graph import Op
from quantforge.ops.attributes import flag as op_flag
from quantforge.ops.attributes import integer, ints
from quantforge.ops.pooling import dpu_factor
from quantforge.xmodel.model import Attrs


def reduction(kind: str) -> Rule:
    """Mean, sum or max over axes; a mean divides by the exact count, as in ONNX (`avg_exact`)."""

    def rule(writer: Writer, op: Op) -> None:
        if not writer.graph.value(op.outputs[0]).is_float:
            raise NotInXirError(f"{kind} of integers")
        x = writer.view(writer.input(op))
        rank = len(x.shape)
        axes = tuple(axis % rank for axis in ints(op, "axes", ())) or tuple(range(rank))
        keep = op_flag(op, "keepdims", True)
        attrs: Attrs = {
            "axis": int32s(sorted(x.order.index(axis) for axis in axes)),
            "keep_dims": flag(keep),
        }
        if kind == "reduction_mean":
            factor = dpu_factor(op)
            attrs |= {"avg_exact": flag(True)} if factor is None else {"dpu_factor": int32s(factor)}
        order = x.order if keep else layout.without(x.order, axes)
        writer.output(op, kind, {"input": [x.op]}, attrs, order)

    return rule


def argmax(writer: Writer, op: Op) -> None:
    """XIR keeps the axis with size 1."""
    x = writer.view(writer.input(op))
    axis = integer(op, "axis", 0) % len(x.shape)
    place = x.order.index(axis)
    order: Order = x.order if op_flag(op, "keepdims", True) else layout.without(x.order, (axis,))
    sizes = tuple(1 if at == place else size for at, size in enumerate(x.stored))
    writer.output(op, "argmax", {"input": [x.op]}, {"axis": int32(place)}, order, tensor=sizes)


def cast(writer: Writer, op: Op) -> None:
    """To another element type."""
    value = writer.graph.value(op.outputs[0])
    x = writer.view(writer.input(op))
    if "bool" in (value.dtype, writer.graph.value(op.inputs[0]).dtype):
        raise NotInXirError("a cast of booleans")
    writer.output(op, "cast", {"input": [x.op]}, {"data_type": text(str(data_type(value)))}, x.order)


RULES: dict[str, Rule] = {
    "reduction-mean": reduction("reduction_mean"),
    "reduction-sum": reduction("reduction_sum"),
    "reduction-max": reduction("reduction_max"),
    "argmax": argmax,
    "cast": cast,
}

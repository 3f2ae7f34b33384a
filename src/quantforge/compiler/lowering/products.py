"""Matrix products. A constant right side is stored as [outputs, inputs] (transpose_b), as a linear layer has it."""

from __future__ import annotations

from quantforge.compiler.lowering import layout
from quantforge.compiler.lowering.writer import NotInXirError, Rule, Writer, flag
from quantforge.graph import Op
from quantforge.ops.attributes import text


def product(writer: Writer, op: Op) -> None:
    """matmul and inner-product."""
    weights = writer.const(op, 1)
    if weights is not None and weights.ndim == 2:
        _linear(writer, op)
        return
    if writer.has(op, 2) or text(op, "weight_layout", "IO") != "IO":
        raise NotInXirError("a product of computed matrices with a bias or transposed")
    ranks = [len(writer.shape(name)) for name in op.inputs[:2]]
    if min(ranks) < 2:
        raise NotInXirError("a product with a vector")
    operands = [writer.placed(op, index, layout.identity(rank)) for index, rank in enumerate(ranks)]
    attrs = {"transpose_a": flag(False), "transpose_b": flag(False)}
    writer.output(op, "matmul", {"input": operands}, attrs)


def _linear(writer: Writer, op: Op) -> None:
    """Constant weights: the rows of x may lie in any order, its last axis must be the last in memory."""
    x, weights = writer.input(op), writer.const(op, 1)
    if len(x.shape) < 2 or weights is None:
        raise NotInXirError("a product with a vector")
    rank = len(x.shape)
    rows = weights if text(op, "weight_layout", "IO") == "OI" else weights.T
    if x.lanes is not None:
        rows = rows[:, x.lanes]
    order = x.order if x.order[-1] == rank - 1 else layout.identity(rank)
    left = writer.view(x, order)
    form = "rows" if x.lanes is None else f"rows of {x.label}"
    args = {"input": [left.op, writer.constant(writer.graph.value(op.inputs[1]), rows, form)]}
    bias = writer.const(op, 2)
    if bias is None and writer.has(op, 2):
        raise NotInXirError("a bias that is computed")
    if bias is not None:
        args["bias"] = [writer.constant(writer.graph.value(op.inputs[2]), bias.reshape(-1), "bias")]
    attrs = {"transpose_a": flag(False), "transpose_b": flag(True)}
    writer.output(op, "matmul", args, attrs, order)


RULES: dict[str, Rule] = {"matmul": product, "inner-product": product}

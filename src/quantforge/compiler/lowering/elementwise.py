"""Operators that work element by element: arithmetic with broadcasting, activations, functions, batch normalization.

They keep the order of axes of the operand that has the shape of the result; constants follow it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantforge.compiler.lowering import layout
from quantforge.compiler.lowering.layout import Order, Sizes
from quantforge.compiler.lowering.writer import Held, NotInXirError, Rule, Writer, float32, int32
from quantforge.graph import Array, Op
from quantforge.ops.attributes import number, text
from quantforge.xmodel.model import Attr, Attrs

_SIXTH = 1.0 / 6.0
_DPU_SLOPE = 2731.0 / 16384.0  # what the hardware takes for 1/6


def operands(writer: Writer, op: Op, indices: Sequence[int]) -> tuple[list[str], Order]:
    """The operators behind some inputs, in one order of axes, which is that of the result."""
    out = writer.shape(op.outputs[0])
    order = _leading_order(writer, op, indices, out)
    return [_operand(writer, op, index, out, order) for index in indices], order


def _leading_order(writer: Writer, op: Op, indices: Sequence[int], out: Sizes) -> Order:
    """The order of the operand with the shape of the result, images first; the plain order without one."""
    rank, best = len(out), layout.identity(len(out))
    found: list[Held] = []
    for index in indices:
        if not writer.graph.value(op.inputs[index]).is_const:
            held = writer.input(op, index)
            if held.shape == out:
                found.append(held)
    for held in found:
        if held.order == layout.channels_last(rank):
            return held.order
    return found[0].order if found else best


def _operand(writer: Writer, op: Op, index: int, out: Sizes, order: Order) -> str:
    data = writer.const(op, index)
    if data is not None:
        return constant_operand(writer, op, index, data, order)
    held = writer.input(op, index)
    extra = len(out) - len(held.shape)
    if extra:
        whole: Sizes = (1,) * extra + held.shape
        inner = (*range(extra), *(axis + extra for axis in held.order))
        held = held.renamed(held.label, whole, inner)
    target = layout.stored(held.shape, order)
    same = layout.solid(held.shape, held.order) == layout.solid(held.shape, order)
    if same and _trimmed(held.tensor) == _trimmed(target):
        return held.op
    return writer.view(held, order).op


def _trimmed(shape: Sizes) -> Sizes:
    """Without leading axes of size 1, which broadcasting adds by itself."""
    first = next((axis for axis, size in enumerate(shape) if size != 1), len(shape))
    return shape[first:]


def constant_operand(writer: Writer, op: Op, index: int, data: Array, order: Order) -> str:
    """A constant that broadcasts with a value in `order`; written without leading axes of size 1."""
    whole = data.reshape((1,) * (len(order) - data.ndim) + data.shape).transpose(order)
    least = whole.reshape(_trimmed(whole.shape) or (1,))
    return writer.constant(writer.graph.value(op.inputs[index]), least, f"operand {order}")


def arithmetic(kind: str) -> Rule:
    """add, sub, mul, div, min and max of two or more operands."""

    def rule(writer: Writer, op: Op) -> None:
        _require_float(writer, op)
        names, order = operands(writer, op, range(len(op.inputs)))
        writer.output(op, kind, {"input": names}, {}, order)

    return rule


def unary(writer: Writer, op: Op, kind: str, attrs: Attrs | None = None) -> Held:
    """An operator on one value, which stays where it is in memory."""
    _require_float(writer, op)
    x = _in_place(writer, writer.input(op))
    return writer.output(op, kind, {"input": [x.op]}, attrs, x.order, lanes=x.lanes)


def _in_place(writer: Writer, held: Held) -> Held:
    return held if held.lanes is not None else writer.view(held)


def plain(kind: str) -> Rule:
    """A unary operator without attributes."""

    def rule(writer: Writer, op: Op) -> None:
        unary(writer, op, kind)

    return rule


def _with_alpha(kind: str, default: float) -> Rule:
    def rule(writer: Writer, op: Op) -> None:
        unary(writer, op, kind, {"alpha": float32(number(op, "alpha", default))})

    return rule


def _clip(writer: Writer, op: Op) -> None:
    """min(max(x, low), high), and relu6 for 0 and 6."""
    low, high = op.attrs.get("min"), op.attrs.get("max")
    if (low, high) in ((0, 6), (0, None)):
        unary(writer, op, "relu" if high is None else "relu6")
        return
    _require_float(writer, op)
    x, name = _in_place(writer, writer.input(op)), op.outputs[0]
    bounds = [("max", low, "low"), ("min", high, "high")]
    steps = [(kind, float(str(bound)), end) for kind, bound, end in bounds if bound is not None]
    if not steps:
        writer.rename(op, x, x.order)
        return
    for kind, bound, end in steps[:-1]:
        limit = writer.literal(f"{name}_{end}", np.asarray([bound], np.float32))
        first = writer.emit(kind, f"{name}_{kind}", x.tensor, {"input": [x.op, limit]})
        x = Held(first.name, x.tensor, x.shape, x.order, name, lanes=x.lanes)
    kind, bound, end = steps[-1]
    limit = writer.literal(f"{name}_{end}", np.asarray([bound], np.float32))
    writer.output(op, kind, {"input": [x.op, limit]}, {}, x.order, lanes=x.lanes)


def _prelu(writer: Writer, op: Op) -> None:
    slope = writer.const(op, 1)
    if slope is None:
        raise NotInXirError("a slope that is computed")
    x = _in_place(writer, writer.input(op))
    if x.lanes is not None and slope.size > 1:
        raise NotInXirError("slopes of a flattened image")
    weight = constant_operand(writer, op, 1, slope, x.order)
    writer.output(op, "prelu", {"input": [x.op], "weight": [weight]}, {}, x.order, lanes=x.lanes)


def _hard_sigmoid(writer: Writer, op: Op) -> None:
    """XIR's is relu6(x + 3) / 6; the hardware's slope comes out by a factor, as the PyTorch exporter writes it."""
    alpha, beta = number(op, "alpha", 0.2), number(op, "beta", 0.5)
    if abs(alpha - _SIXTH) < 1e-7 and beta == 0.5:
        unary(writer, op, "hard-sigmoid")
        return
    if alpha != _DPU_SLOPE or beta != 3 * _DPU_SLOPE:
        raise NotInXirError(f"a hard sigmoid of slope {alpha:g} and offset {beta:g}")
    x, name = _in_place(writer, writer.input(op)), op.outputs[0]
    inner = writer.emit("hard-sigmoid", f"{name}_hard_sigmoid", x.tensor, {"input": [x.op]})
    factor = writer.literal(f"{name}_factor", np.asarray([6.0 * _DPU_SLOPE], np.float32))
    writer.output(op, "mul", {"input": [inner.name, factor]}, {}, x.order, lanes=x.lanes)


def _gelu(writer: Writer, op: Op) -> None:
    if text(op, "approximate", "none") != "none":
        raise NotInXirError("the tanh approximation of gelu")
    unary(writer, op, "gelu")


def _selu(writer: Writer, op: Op) -> None:
    if "alpha" in op.attrs or "gamma" in op.attrs:
        raise NotInXirError("selu with its own constants")
    unary(writer, op, "selu")


def _batch_norm(writer: Writer, op: Op) -> None:
    """Stored statistics as one factor and one offset per channel."""
    rows = [writer.const(op, index) for index in range(1, 5)]
    if any(row is None for row in rows):
        raise NotInXirError("statistics that are computed")
    gamma, beta, mean, variance = (np.asarray(row, np.float64).reshape(-1) for row in rows)
    factor = gamma / np.sqrt(variance + number(op, "epsilon", 1e-5))
    x = writer.input(op)
    rank, name = len(x.shape), op.outputs[0]
    order = x.order if x.order[-1] == min(1, rank - 1) else layout.channels_last(rank)
    image = writer.view(x, order)
    args = {
        "input": [image.op],
        "scale": [writer.literal(f"{name}_scale", factor.astype(np.float32))],
        "bias": [writer.literal(f"{name}_bias", (beta - mean * factor).astype(np.float32))],
    }
    writer.output(op, "scale", args, {"axis": int32(order.index(min(1, rank - 1)))}, order)


def _norm(writer: Writer, op: Op) -> None:
    """instancenorm and groupnorm of images."""
    x, weight, bias = writer.input(op), writer.const(op, 1), writer.const(op, 2)
    if weight is None or bias is None or len(x.shape) != 4:
        raise NotInXirError("anything but a normalization of images with constant parameters")
    image = writer.view(x, layout.channels_last(4))
    values = [writer.graph.value(name) for name in op.inputs[1:3]]
    args = {
        "input": [image.op],
        "weight": [writer.constant(values[0], weight.reshape(-1), "weight")],
        "bias": [writer.constant(values[1], bias.reshape(-1), "bias")],
    }
    attrs = {"eps": float32(number(op, "epsilon", 1e-5)), "affine": Attr("bool", True)}
    if op.kind == "groupnorm":
        attrs |= {"num_groups": int32(int(number(op, "groups"))), "num_channels": int32(x.shape[1])}
    writer.output(op, op.kind, args, attrs, image.order)


def _softmax(writer: Writer, op: Op) -> None:
    x = writer.view(writer.input(op))
    axis = int(number(op, "axis", -1)) % len(x.shape)
    writer.output(op, "softmax", {"input": [x.op]}, {"axis": int32(x.order.index(axis))}, x.order)


def _masked_softmax(writer: Writer, op: Op) -> None:
    """softmax(x + mask) for masks of floats, and for constant ones of booleans that leave something of every row."""
    shape, name = writer.shape(op.outputs[0]), op.outputs[0]
    axis = int(number(op, "axis", -1)) % len(shape)
    added = [i for i in range(len(op.inputs)) if writer.graph.value(op.inputs[i]).is_float]
    names, order = operands(writer, op, added)
    kept = np.ones((1,) * len(shape), np.bool_)
    for index in sorted(set(range(len(op.inputs))) - set(added)):
        mask = writer.const(op, index)
        if mask is None:
            raise NotInXirError("a mask of booleans that is no constant")
        kept = kept & mask
    if not kept.all():
        if not kept.any(axis=axis).all():
            raise NotInXirError("a mask that leaves nothing of a row")
        lowest = np.where(kept, 0.0, np.finfo(np.float32).min).astype(np.float32)
        names = [*names, writer.literal(f"{name}_mask", lowest.transpose(order))]
    tensor = layout.stored(shape, order)
    scores = writer.emit("add", f"{name}_masked", tensor, {"input": names})
    writer.output(op, "softmax", {"input": [scores.name]}, {"axis": int32(order.index(axis))}, order)


def _l2(writer: Writer, op: Op) -> None:
    if int(number(op, "p", 2)) != 2:
        raise NotInXirError("a normalization by the sum of absolute values")
    x = writer.view(writer.input(op))
    axis = x.order.index(int(number(op, "axis", -1)) % len(x.shape))
    attrs = {"axis": Attr("int32_vec", (axis,)), "epsilon": Attr("double", 1e-38)}
    writer.output(op, "l2_normalize", {"input": [x.op]}, attrs, x.order)


def _require_float(writer: Writer, op: Op) -> None:
    if not writer.graph.value(op.outputs[0]).is_float:
        raise NotInXirError(f"{op.kind} of {writer.graph.value(op.outputs[0]).dtype}")


_PLAIN = ("relu", "relu6", "sigmoid", "tanh", "swish", "mish", "exp", "neg", "hard-swish")

RULES: dict[str, Rule] = {
    **{f"eltwise-{kind}": arithmetic(kind) for kind in ("add", "sub", "mul", "div", "min", "max")},
    **{kind: plain(kind) for kind in _PLAIN},
    "leaky-relu": _with_alpha("leaky-relu", 0.01),
    "elu": _with_alpha("elu", 1.0),
    "clip": _clip,
    "prelu": _prelu,
    "hard-sigmoid": _hard_sigmoid,
    "gelu": _gelu,
    "selu": _selu,
    "batchnorm": _batch_norm,
    "instancenorm": _norm,
    "groupnorm": _norm,
    "softmax": _softmax,
    "masked-softmax": _masked_softmax,
    "l2-normalize": _l2,
}

"""Convolutions and pooling.

XIR lists kernel, stride and dilation as (w, h[, d]) and pads as (left, right, top, bottom[, near, far]); the graph
lists axes in the order (d,) h, w, all begins before all ends. Weights become O,H,W[,D],I; depthwise ones
multiplier,H,W[,D],C; those of transposed convolutions are flipped in space besides. Windows over a line are
windows over an image of height 1, which DPUs know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantforge.compiler.lowering import layout
from quantforge.compiler.lowering.layout import Order, Sizes
from quantforge.compiler.lowering.writer import NotInXirError, Rule, Writer, flag, int32, int32s, text
from quantforge.graph import Array, Op
from quantforge.ops.attributes import flag as op_flag
from quantforge.ops.attributes import integer, ints
from quantforge.ops.attributes import text as op_text
from quantforge.ops.layouts import SPACE, order
from quantforge.ops.pooling import dpu_factor
from quantforge.xmodel.model import Attrs


@dataclass(frozen=True)
class Window:
    """One entry per spatial axis, in the graph's order."""

    kernel: Sizes
    stride: Sizes
    dilation: Sizes
    begin: Sizes
    end: Sizes

    def attrs(self) -> Attrs:
        """kernel, stride, dilation and pad of XIR."""
        pairs = zip(reversed(self.begin), reversed(self.end), strict=True)
        return {
            "kernel": int32s(self.kernel[::-1]),
            "stride": int32s(self.stride[::-1]),
            "dilation": int32s(self.dilation[::-1]),
            "pad": int32s([pad for pair in pairs for pad in pair]),
        }

    def of_image(self) -> Window:
        """A window over a line as one over an image of height 1."""
        if len(self.kernel) > 1:
            return self
        ones, zeros = (1,), (0,)
        return Window(
            ones + self.kernel,
            ones + self.stride,
            ones + self.dilation,
            zeros + self.begin,
            zeros + self.end,
        )


def convolution(writer: Writer, op: Op) -> None:
    """Convolutions of every kind; a transposed one keeps its output padding in a smaller end padding."""
    rank, group = int(op.kind[-2]), integer(op, "group", 1)
    transposed, depthwise = op.kind.startswith("transposed"), "depthwise" in op.kind
    weights = writer.const(op, 1)
    if weights is None or (writer.has(op, 2) and writer.const(op, 2) is None):
        raise NotInXirError("weights that are computed")
    if group > 1 and not depthwise and (transposed or rank == 3):
        raise NotInXirError(f"{op.kind} in {group} groups")
    stored = _weights(op, weights, rank)
    space = stored.shape[1:-1]
    window = _conv_window(op, rank, (space[2], *space[:2]) if rank == 3 else space[-rank:])
    attrs = window.of_image().attrs() | {"pad_mode": text("FLOOR")}
    kind = op.kind.replace("1d", "2d")
    if kind == "conv2d":
        attrs["group"] = int32(group)
    args = {"weights": [writer.constant(writer.graph.value(op.inputs[1]), stored, "weights")]}
    bias = writer.const(op, 2)
    if bias is not None:
        args["bias"] = [writer.constant(writer.graph.value(op.inputs[2]), bias.reshape(-1), "bias")]
    _over_image(writer, op, kind, args, attrs)


def _over_image(writer: Writer, op: Op, kind: str, args: dict[str, list[str]], attrs: Attrs) -> None:
    """The operator on its input in XIR's order of axes; lines pass through as images of height 1."""
    rank = int(op.kind[-2])
    if op_text(op, "layout", "NC" + SPACE[rank]) != "NC" + SPACE[rank]:
        raise NotInXirError(f"layout {op.attrs['layout']}")
    x, out = writer.input(op), writer.shape(op.outputs[0])
    shape, placed = x.shape, x.order
    if rank == 1:
        shape, placed = (*x.shape[:2], 1, x.shape[2]), _as_image(x.order)
    image = writer.view(x.renamed(x.label, shape, placed), layout.channels_last(len(shape)))
    tensor = (out[0], 1, out[2], out[1]) if rank == 1 else None
    order_ = layout.channels_last(rank + 2)
    writer.output(op, kind, {"input": [image.op], **args}, attrs, order_, tensor=tensor)


def _as_image(line: Order) -> Order:
    """The order of a line (N, C, L) as an image (N, C, 1, L)."""
    order_ = [3 if axis == 2 else axis for axis in line]
    order_.insert(order_.index(3), 2)
    return tuple(order_)


def _weights(op: Op, weights: Array, rank: int) -> Array:
    """O, space, I with the space in XIR's order; depthwise M, space, C with output channel c * M + m."""
    transposed, depthwise = op.kind.startswith("transposed"), "depthwise" in op.kind
    channels = "IO" if transposed else "OI"
    space = {1: "W", 2: "HW", 3: "HWD"}[rank]
    axes = order(op_text(op, "weight_layout", channels + SPACE[rank]), channels + space)
    first = weights.transpose(axes)
    if rank == 1:
        first = np.expand_dims(first, 2)
    if transposed:
        first = np.flip(first, tuple(range(2, first.ndim)))
    if depthwise:
        groups = first.shape[0] if transposed else integer(op, "group", 1)
        grouped = first.reshape(groups, -1, *first.shape[2:])
        return np.asarray(np.moveaxis(grouped, 0, -1))
    return np.asarray(np.moveaxis(first.swapaxes(0, 1) if transposed else first, 1, -1))


def _conv_window(op: Op, rank: int, kernel: Sizes) -> Window:
    begin, end = _pads(op, rank)
    extra = ints(op, "output_padding", (0,) * rank)
    end = tuple(pad - more for pad, more in zip(end, extra, strict=True))
    if min((*begin, *end)) < 0:
        raise NotInXirError("a padding below zero, or an output padding beyond the end padding")
    return Window(kernel, *_steps(op, rank), begin, end)


def _steps(op: Op, rank: int) -> tuple[Sizes, Sizes]:
    return ints(op, "stride", (1,) * rank), ints(op, "dilation", (1,) * rank)


def _pads(op: Op, rank: int) -> tuple[Sizes, Sizes]:
    pads = ints(op, "pads", (0,) * 2 * rank)
    return pads[:rank], pads[rank:]


def pool(writer: Writer, op: Op) -> None:
    """Max and average pooling; an average divides by the exact count, as in ONNX (`avg_exact`)."""
    rank, average = int(op.kind[-2]), op.kind.startswith("avg")
    if rank == 3:
        raise NotInXirError("3-D pooling")
    window, mode = _pool_window(op, writer.input(op).shape[2:], writer.shape(op.outputs[0])[2:])
    if any(step != 1 for step in window.dilation):
        raise NotInXirError("pooling with dilation")
    attrs = window.of_image().attrs() | {"pad_mode": text(mode), "global": flag(op_flag(op, "global"))}
    del attrs["dilation"]
    if average:
        attrs |= _average_attrs(op)
    _over_image(writer, op, op.kind.replace("1d", "2d"), {}, attrs)


def _average_attrs(op: Op) -> Attrs:
    factor = dpu_factor(op)
    if factor is not None:
        return {
            "count_include_pad": flag(True),
            "count_include_invalid": flag(True),
            "dpu_factor": int32s(factor),
        }
    return {
        "count_include_pad": flag(op_flag(op, "count_include_pad")),
        "count_include_invalid": flag(False),
        "avg_exact": flag(True),
    }


def _pool_window(op: Op, space: Sizes, out: Sizes) -> tuple[Window, str]:
    """The windows of ONNX and XIR's pad_mode for them.

    With ceil_mode, ONNX drops a last window that would start behind the data, XIR's CEIL keeps it; then the end
    padding is set to what the windows reach.
    """
    rank = len(space)
    ones, zeros = (1,) * rank, (0,) * rank
    if op_flag(op, "global"):
        return Window(space, ones, ones, zeros, zeros), "FLOOR"
    begin, end = _pads(op, rank)
    window = Window(ints(op, "kernel"), *_steps(op, rank), begin, end)
    if min((*begin, *end)) < 0:
        raise NotInXirError("a padding below zero")
    if not op_flag(op, "ceil_mode"):
        return window, "FLOOR"
    rows = list(zip(space, window.kernel, window.stride, begin, end, out, strict=True))
    if all(-(-(n + b + e - k) // s) + 1 == o for n, k, s, b, e, o in rows):
        return window, "CEIL"
    reach = tuple(max((o - 1) * s + k - n - b, 0) for n, k, s, b, _, o in rows)
    if op_flag(op, "count_include_pad") and reach != end and op.kind.startswith("avg"):
        raise NotInXirError("ceil_mode that counts some of the padding")
    return Window(window.kernel, window.stride, window.dilation, begin, reach), "FLOOR"


RULES: dict[str, Rule] = {
    **{
        f"{prefix}conv{rank}d": convolution
        for rank in (1, 2, 3)
        for prefix in ("", "depthwise-", "transposed-", "transposed-depthwise-")
    },
    **{f"{name}pool{rank}d": pool for name in ("max", "avg") for rank in (1, 2, 3)},
}

"""Where channels live: in the weights of an op, and in the values that flow between ops.

Weight layouts name their axes ("OIHW"), so output and input channels are looked up by letter. In a depthwise
convolution each output channel reads one input channel: its weights have an output axis and no input axis
of their own (channel multiplier 1).
"""

from __future__ import annotations

from quantforge.graph import Op, Value

WEIGHTED = frozenset(
    f"{prefix}conv{rank}d"
    for prefix in ("", "depthwise-", "transposed-", "transposed-depthwise-")
    for rank in (1, 2, 3)
) | {"inner-product", "matmul"}


def is_depthwise(op: Op) -> bool:
    """Whether every output channel of `op` reads exactly one input channel."""
    return "depthwise" in op.kind


def output_channel_axis(op: Op) -> int | None:
    """Axis of the weights (input 1) that counts output channels; None for ops without weights.

    >>> output_channel_axis(Op("conv2d", "c", ("x", "w"), ("y",), {"weight_layout": "OIHW"}))
    0
    """
    layout = op.attrs.get("weight_layout")
    if op.kind not in WEIGHTED or not isinstance(layout, str):
        return None
    if op.kind.startswith("transposed-depthwise"):
        return layout.index("I")  # weights [channels, multiplier, ...]; the multiplier is 1 wherever we scale
    return layout.index("O")


def input_channel_axis(op: Op) -> int | None:
    """Axis of the weights that counts input channels; for depthwise ops the same as the output axis."""
    if is_depthwise(op):
        return output_channel_axis(op)
    layout = op.attrs.get("weight_layout")
    return layout.index("I") if op.kind in WEIGHTED and isinstance(layout, str) else None


def value_channel_axis(value: Value, layout: str | None) -> int:
    """Axis of the channels in an activation: the letter C of `layout`, or the last axis without one."""
    if layout is not None and value.shape is not None and len(layout) == len(value.shape):
        return layout.index("C")
    return -1 if value.shape is None or len(value.shape) != 4 else 1

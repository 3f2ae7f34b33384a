"""Which rule fuses which operator."""

from __future__ import annotations

from quantforge.compiler.fusing import convolutions, elementwise, moves, picks, pools
from quantforge.compiler.fusing.draft import Cluster, Rule, Scene
from quantforge.xmodel.model import XOp

CONVOLUTIONS = tuple(
    f"{prefix}conv{rank}d"
    for prefix in ("", "depthwise-", "transposed-", "transposed-depthwise-")
    for rank in (2, 3)
)

_COPIED_SLICE = moves.copying("strided_slice-fix", ("begin", "end", "strides", "begin_mask", "end_mask"))


def _slice(scene: Scene, op: XOp) -> Cluster:
    return (picks.pick_channels if picks.steps_over_channels(op) else _COPIED_SLICE)(scene, op)


RULES: dict[str, Rule] = {
    **dict.fromkeys(CONVOLUTIONS, convolutions.convolution),
    "matmul": convolutions.product,
    "inner-product": convolutions.product,
    "scale": convolutions.scale,
    "add": elementwise.total,
    "mul": elementwise.times,
    "hard-sigmoid": elementwise.hard_sigmoid,
    "relu": elementwise.activation,
    "relu6": elementwise.activation,
    "leaky-relu": elementwise.activation,
    "maxpool2d": pools.max_pool,
    "avgpool2d": pools.average_pool,
    "reduction_mean": pools.mean,
    "reduction_max": pools.maximum,
    "reshape": moves.reshape,
    "flatten": moves.reshape,
    "squeeze": moves.reshape,
    "identity": moves.reshape,
    "transpose": moves.transpose,
    "concat": moves.concat,
    "pad": moves.pad,
    "strided_slice": _slice,
    "gstiling": moves.copying("tile-fix", ("stride", "reverse")),
    "reorg": moves.copying("reorg-fix", ("scale", "reverse")),
    "pixel-shuffle": moves.shuffle,
    "resize": moves.resize,
}

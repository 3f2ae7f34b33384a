"""Every n-th channel, which the load and save engines cannot skip to: a convolution with ones for weights.

y[..., o] = x[..., begin + o step] is the product with a matrix of zeros and ones, exact on integers: the weights have
fix point 0 and the sum is not shifted. It costs multiplications and saves a visit to the CPU, so the inspection
allows it only where the DPU has the input already and needs the result. The attribute `pick_channels` (begin, step)
tells an engine that can slice that it may.
"""

from __future__ import annotations

import numpy as np

from quantforge.compiler.fusing.draft import Cluster, Draft, NotOnDpuError, Scene, int32, int32s, text
from quantforge.compiler.fusing.windows import Axis, window_attrs
from quantforge.compiler.grid import Grid
from quantforge.xmodel.model import Attrs, XOp

_WIDEST = 256  # input channels of a convolution, in lanes


def steps_over_channels(op: XOp) -> bool:
    """Whether a slice has a step along the last of four axes."""
    strides = op.get("strides", ())
    return len(strides) == 4 and strides[3] > 1


def pick_channels(scene: Scene, op: XOp) -> Cluster:
    """A strided_slice along the channels of an image with a step.

    Raises:
        NotOnDpuError: For any other slice.
    """
    name = op.args["input"][0]
    shape, out = scene.op(name).tensor.shape, op.tensor.shape
    begin, step = op.get("begin"), op.get("strides")
    whole = len(shape) == 4 and out[:3] == shape[:3] and step[3] > 1 and not op.get("begin_mask", 0)
    if not whole or shape[3] > _WIDEST * (scene.target.conv.input_channel_parallel or 1):
        raise NotOnDpuError("it is no row of channels at even steps")
    tail = scene.tail(op.name, {})
    grid = scene.fixed(name)
    if grid.numbers != tail.grid.numbers:
        raise NotOnDpuError(f"it would have to shift from fix point {grid.position} to {tail.grid.position}")
    ones = np.zeros((out[3], 1, 1, shape[3]), np.int8)
    ones[np.arange(out[3]), 0, 0, begin[3] % shape[3] + np.arange(out[3]) * step[3]] = 1
    weights = Draft(f"{op.name}(channels)", "const-fix", ones.shape, Grid(0), data=ones)
    attrs: Attrs = window_attrs(tuple(Axis(size, size, 1, 1, 1, 0, 0) for size in shape[2:0:-1])) | {
        "pad_mode": text("FLOOR"),
        "nonlinear": text("NONE"),
        "shift_cut": int32(0),
        "group": int32(1),
        "pick_channels": int32s([begin[3] % shape[3], step[3]]),
    }
    args = {"input": (name,), "weights": (weights.name,)}
    conv = Draft(f"{op.name}(PickChannels)", "conv2d-fix", out, tail.grid, args, attrs, tail.fix.tensor.name)
    return Cluster(tail.members, tail.fix.name, (weights, conv), moves_only=True)

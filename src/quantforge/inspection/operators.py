"""What speaks against running an operator on a DPU, whatever is around it: the limits of its kind.

Kinds that the table of limits does not list are brought to those it does: matrix products are convolutions, means and
maxima over an image are pools, factors per channel are depthwise convolutions (user guide UG1414, tables 28 to 30).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from quantforge.inspection import facts
from quantforge.inspection.engines import engine_of
from quantforge.inspection.results import Reason
from quantforge.inspection.rules import alternatives, operator, reasons_against
from quantforge.inspection.view import View
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.catalogue import catalogue
from quantforge.xmodel.model import XOp

Reasons = tuple[Reason, ...]
Check = Callable[[View, XOp, DpuTarget], Reasons]

CONVOLUTIONS = tuple(
    f"{prefix}conv{rank}d"
    for prefix in ("", "depthwise-", "transposed-", "transposed-depthwise-")
    for rank in (2, 3)
)
RESHAPES = frozenset({"reshape", "flatten", "squeeze", "identity"})
ACTIVATIONS = frozenset({"relu", "relu6", "leaky-relu", "hard-sigmoid", "hard-swish"})
_WIDEST = 256  # input channels of a convolution, in lanes
# Operators that copy or pick numbers: rounding before them is rounding behind them.
MOVING = frozenset(
    {*RESHAPES, "transpose", "concat", "strided_slice", "pixel-shuffle", "reorg", "gstiling", "pad"}
    | {"maxpool2d", "reduction_max", "resize"}
)
# Those of them that move bytes and nothing else, for which nobody would start a DPU.
IDLE = MOVING - {"maxpool2d", "reduction_max", "resize"}
_LARGEST_KERNEL = 16


def reasons_of(view: View, op: XOp, target: DpuTarget) -> Reasons:
    """The limits that an operator breaks by itself; for a kind that no DPU has, that."""
    check = CHECKS.get(op.kind)
    if check is not None:
        return () if view.chain_start(op) is not None else check(view, op, target)
    if op.kind in catalogue():
        found, fix = op.kind, alternatives().get(op.kind, "leave it to the code behind the model")
        return (Reason("no_dpu_pattern", f"{op.kind}.supported", found, "on no DPU", fix),)
    kind = op.kind.removeprefix("onnx:")
    limit = "the operators of XIR"
    return (Reason("not_representable", "xir", kind, limit, "replace it by operators that XIR has"),)


def image_convolution(view: View, op: XOp, target: DpuTarget) -> Reasons:
    """Convolutions of every kind."""
    rank = int(op.kind[-2]) + 2
    shape = view.op(op.args["input"][0]).tensor.shape
    constant = all(view.is_const(op.args[key][0]) for key in ("weights", "bias") if op.args.get(key))
    if not constant:
        return (rejected("weights that are computed", "constant weights", "make the weights constants"),)
    if len(shape) != rank:
        return (rejected(f"an input of {len(shape)} axes", f"{rank} axes", "reshape the input before it"),)
    return reasons_against(op.kind, facts.convolution_facts(view, op), target)


def convolution_with_pad(view: View, op: XOp, pad: XOp, target: DpuTarget) -> Reasons:
    """A convolution that does the zero padding in front of it as well."""
    pairs = facts.paddings(pad)
    places = (2, 1, 3)[: len(pairs) - 2]
    names = facts.convolution_facts(view, op, tuple(pairs[place] for place in places))
    return reasons_against(op.kind, names, target)


def _product(view: View, op: XOp, target: DpuTarget) -> Reasons:
    """A matrix product with constant weights: a convolution with a window of one pixel, or of a flattened image."""
    names = op.args["input"] + op.args.get("weights", ())
    if len(names) < 2 or not view.is_const(names[1]) or op.get("transpose_a", False):
        return (
            rejected("a product of computed matrices", "constant weights", "a layer with its own weights"),
        )
    weights, left = view.op(names[1]).tensor.shape, view.op(names[0]).tensor.shape
    if len(weights) != 2 or len(left) < 2:
        found = f"weights of {len(weights)} axes and an input of {len(left)}"
        return (rejected(found, "weights of 2 axes, an input of 2 or more", "one product per matrix"),)
    outputs = op.tensor.shape[-1]
    plain = reasons_against("conv2d", facts.product_facts(left, outputs, (1, 1)), target)
    image = _flattened(view, names[0])
    if not plain or image is None:
        return plain
    return reasons_against("conv2d", facts.product_facts(image, outputs, (image[2], image[1])), target)


def _flattened(view: View, name: str) -> tuple[int, ...] | None:
    """The image N, H, W, C that a reshape flattens to rows."""
    source = view.through(name)
    if source.kind not in ("reshape", "flatten") or len(source.tensor.shape) != 2:
        return None
    image = view.op(source.args["input"][0]).tensor.shape
    fits = len(image) == 4 and image[0] == source.tensor.shape[0] and max(image[1:3]) <= _LARGEST_KERNEL
    return image if fits else None


def _pool(view: View, op: XOp, target: DpuTarget) -> Reasons:
    shape = view.op(op.args["input"][0]).tensor.shape
    if len(shape) != 4:
        return (rejected(f"an input of {len(shape)} axes", "an image of 4", "reshape the input before it"),)
    return reasons_against(op.kind, facts.pool_facts(view, op), target)


def _mean(view: View, op: XOp, target: DpuTarget) -> Reasons:
    """A mean over height and width is an average pool with one window."""
    shape = view.op(op.args["input"][0]).tensor.shape
    axes = _axes(op, len(shape))
    if len(shape) != 4 or not axes or not set(axes) <= {1, 2}:
        found = f"a mean over axes {list(axes)} of {len(shape)}"
        return (rejected(found, "height and width of an image (axes 1, 2)", "a global average pool"),)
    return reasons_against("avgpool2d", facts.reduction_facts(shape, axes), target)


def _maximum(view: View, op: XOp, target: DpuTarget) -> Reasons:
    """Over height and width a max pool with one window, over the channels an operator of its own."""
    shape = view.op(op.args["input"][0]).tensor.shape
    axes = _axes(op, len(shape))
    if len(shape) == 4 and axes and set(axes) <= {1, 2}:
        return reasons_against("maxpool2d", facts.reduction_facts(shape, axes), target)
    if len(axes) != 1:
        found = f"a maximum over axes {list(axes)} of {len(shape)}"
        return (
            rejected(found, "the channels, or height and width of an image", "one maximum after the other"),
        )
    return reasons_against("reduction_max", facts.axis_facts(view, op, axes[0]), target)


def _axes(op: XOp, rank: int) -> tuple[int, ...]:
    return tuple(sorted(axis % rank for axis in op.get("axis", ())))


def _argmax(view: View, op: XOp, target: DpuTarget) -> Reasons:
    found = reasons_against("argmax", facts.axis_facts(view, op, op.get("axis", -1)), target)
    if found or target.argmax:
        return found
    limit = "a save engine with argmax"
    fix = "leave it to the code behind the model"
    return (Reason("engine_missing", "argmax.supported", f"{target.name}: it has no argmax", limit, fix),)


def _add(view: View, op: XOp, target: DpuTarget) -> Reasons:
    return reasons_against("add", facts.eltwise_facts(view, op), target)


def _mul(view: View, op: XOp, target: DpuTarget) -> Reasons:
    """By a constant per channel a depthwise convolution, else a product of tensors of one shape."""
    if per_channel(view, op):
        return _pointwise(op, target)
    rank, constant = len(op.tensor.shape), any(view.is_const(name) for name in op.args["input"])
    reasons = reasons_against("mul", facts.eltwise_facts(view, op), target)
    if constant and rank != 4 and reasons:
        found, limit = (
            f"a constant factor of {rank} axes",
            "one factor, or one per channel, of an image of 4 axes",
        )
        return (
            rejected(found, limit, "multiply before the reshape, or in the layer before it", "mul.constant"),
        )
    return reasons


def _pointwise(op: XOp, target: DpuTarget) -> Reasons:
    """Factors per channel, as a depthwise convolution; they are better in the layer beside it."""
    found = reasons_against("depthwise-conv2d", facts.pointwise_facts(op.tensor.shape[-1]), target)
    return tuple(
        replace(reason, fix="fold the factors into the layer before or behind it") for reason in found
    )


def per_channel(view: View, op: XOp) -> bool:
    """Whether an image is combined with a constant of one number, or of one per channel."""
    names = op.args["input"]
    constants = [name for name in names if view.is_const(name)]
    if len(names) != 2 or len(constants) != 1 or len(op.tensor.shape) != 4:
        return False
    shape = view.op(constants[0]).tensor.shape
    return math.prod(shape[:-1]) == 1 and shape[-1] in (1, op.tensor.shape[-1])


def _scale(view: View, op: XOp, target: DpuTarget) -> Reasons:
    shape = op.tensor.shape
    if len(shape) != 4 or op.get("axis", -1) % 4 != 3:
        found = f"factors along axis {op.get('axis', -1)} of {len(shape)}"
        return (rejected(found, "the channels of an image", "fold it into the layer before it"),)
    return _pointwise(op, target)


def _resize(view: View, op: XOp, target: DpuTarget) -> Reasons:
    found = reasons_against("resize", facts.resize_facts(view, op), target)
    if found or op.get("mode") != "BILINEAR":
        return found
    if engine_of(target, operator("transposed-depthwise-conv2d").engines) is not None:
        return ()
    limit = "a depthwise engine, which BILINEAR needs"
    missing = f"{target.name}: it has no depthwise engine"
    return (Reason("engine_missing", "resize.engine", missing, limit, "the mode NEAREST"),)


def _pad(view: View, op: XOp, target: DpuTarget) -> Reasons:
    return reasons_against("pad", facts.pad_facts(view, op), target)


def _slice(view: View, op: XOp, target: DpuTarget) -> Reasons:
    return reasons_against("strided_slice", facts.slice_facts(view, op), target)


def picks_channels(view: View, op: XOp, target: DpuTarget) -> bool:
    """Whether a slice takes every n-th channel of an image that a convolution of `target` can read."""
    shape, steps = view.op(op.args["input"][0]).tensor.shape, tuple(op.get("strides", ()))
    lanes = target.conv.input_channel_parallel or 1
    whole = len(shape) == 4 and len(steps) == 4 and op.tensor.shape[:3] == shape[:3]
    return whole and steps[3] > 1 and not op.get("begin_mask", 0) and shape[3] <= _WIDEST * lanes


def _blocks(view: View, op: XOp, target: DpuTarget) -> Reasons:
    """Moves between space and channels; those without a line of their own keep the limits of reorg."""
    names = facts.block_facts(view, op)
    if op.kind == "pixel-shuffle":
        names["reverse"] = bool(op.get("upscale", True))
    return reasons_against("reorg", names, target)


def _channels(view: View, op: XOp, target: DpuTarget) -> Reasons:
    return reasons_against(op.kind, {"ic": view.op(op.args["input"][0]).tensor.shape[-1]}, target)


def _transpose(view: View, op: XOp, target: DpuTarget) -> Reasons:
    """A transpose that only moves axes of size 1 leaves the memory as it is."""
    shape = view.op(op.args["input"][0]).tensor.shape
    order = tuple(op.get("order", ()))
    if sorted(order) != list(range(len(shape))):
        found, limit = f"the order {list(order)} of {len(shape)} axes", "every axis once"
        return (rejected(found, limit, "correct the order", "transpose"),)
    solid = [axis for axis in order if shape[axis] != 1]
    if solid == sorted(solid):
        return ()
    found = f"the order {list(order)} of {list(shape)}, which moves memory"
    fix = "an equal transpose beside it, or the same order of axes throughout"
    return (rejected(found, "transposes of axes of size 1", fix, "transpose"),)


def _nothing(view: View, op: XOp, target: DpuTarget) -> Reasons:
    return ()


def rejected(found: str, limit: str, fix: str, rule: str = "tables 29, 30") -> Reason:
    """A reason for a form of an operator that the tables do not give to a DPU."""
    return Reason("pattern_rejected", rule, found, limit, fix)


CHECKS: dict[str, Check] = {
    **dict.fromkeys(CONVOLUTIONS, image_convolution),
    "matmul": _product,
    "inner-product": _product,
    "maxpool2d": _pool,
    "avgpool2d": _pool,
    "reduction_mean": _mean,
    "reduction_max": _maximum,
    "argmax": _argmax,
    "add": _add,
    "mul": _mul,
    "scale": _scale,
    "resize": _resize,
    "pad": _pad,
    "strided_slice": _slice,
    "reorg": _blocks,
    "gstiling": _blocks,
    "pixel-shuffle": _blocks,
    "correlation1d_elemwise": _channels,
    "correlation2d_elemwise": _channels,
    "cost_volume": _channels,
    "transpose": _transpose,
    "concat": _nothing,
    **dict.fromkeys(RESHAPES, _nothing),
    **dict.fromkeys(ACTIVATIONS, _nothing),
}

"""Convolutions of every kind, and matrix products with constant weights, which are convolutions too.

y = fix(activation(sum of x w + b)) on integers is one right shift by shift_cut = fi + fw - fo of the sum, to which
the bias is added after a left shift by shift_bias = fi + fw - fb.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantforge.compiler.fusing.activations import depthwise_engine, fusable
from quantforge.compiler.fusing.draft import (
    Args,
    Cluster,
    Draft,
    NotOnDpuError,
    Scene,
    Tail,
    int32,
    int32s,
    text,
)
from quantforge.compiler.fusing.shifts import check_convolution
from quantforge.compiler.fusing.windows import Axis, transposed, window_attrs, windows
from quantforge.compiler.grid import Grid
from quantforge.graph import Array
from quantforge.xmodel.model import Attrs, XOp

_UNSET = -128
LARGEST_KERNEL = 16


def convolution(scene: Scene, op: XOp) -> Cluster:
    """conv2d, conv3d and their depthwise and transposed forms, with bias, activation and a padding before."""
    engine = depthwise_engine(scene) if "depthwise" in op.kind else scene.target.conv
    tail = scene.tail(op.name, fusable(scene, op.name, engine))
    source, extra = _padding(scene, op)
    shape = scene.op(source).tensor.shape
    axes = transposed(op, shape) if "transposed" in op.kind else windows(op, shape)
    if extra is not None:
        shape = scene.op(source).tensor.shape
        axes = tuple(_padded(axis, *more) for axis, more in zip(_over_padded(scene, op), extra, strict=True))
    args, grids = _arguments(scene, op, source)
    attrs = window_attrs(axes) | _attrs(scene, op, tail, grids)
    draft = Draft(op.name, f"{op.kind}-fix", op.tensor.shape, tail.grid, args, attrs, tail.fix.tensor.name)
    return Cluster(tail.members, tail.fix.name, (draft,))


def _over_padded(scene: Scene, op: XOp) -> tuple[Axis, ...]:
    return windows(op, scene.op(op.args["input"][0]).tensor.shape)


def _padded(axis: Axis, before: int, after: int) -> Axis:
    """The windows over the input of the padding, which ends where a window needs it."""
    size, begin = axis.size - before - after, axis.begin + before
    return replace(axis, size=size, begin=begin, end=max(axis.covered - size - begin, 0))


def _padding(scene: Scene, op: XOp) -> tuple[str, tuple[tuple[int, int], ...] | None]:
    """The input of a convolution; that of a zero padding in front of it, with the pads, where it can take them."""
    name = op.args["input"][0]
    pad = scene.source(name) if scene.op(name).kind == "fix" else scene.op(name)
    if pad.kind != "pad" or pad.get("mode") != "CONSTANT" or any(pad.get("constant_values", ())):
        return name, None
    before = pad.args["input"][0]
    paddings = pad.get("paddings")
    pairs = list(zip(paddings[0::2], paddings[1::2], strict=True))
    rank = len(pairs) - 2
    space = tuple(pairs[place] for place in ((2, 1, 3)[:rank] if rank > 1 else (1,)))
    fits = (
        pairs[0] == pairs[-1] == (0, 0)
        and "transposed" not in op.kind
        and scene.op(before).kind == "fix"
        and Grid.of(scene.op(before)).numbers == Grid.of(scene.op(name)).numbers
        and all(_can_take(axis, *pads) for axis, pads in zip(_over_padded(scene, op), space, strict=True))
    )
    return (before, space) if fits else (name, None)


def _can_take(axis: Axis, before: int, after: int) -> bool:
    """A DPU pads by less than the reach of a window."""
    padded = _padded(axis, before, after)
    return max(padded.begin, padded.end) < axis.reach


def _arguments(scene: Scene, op: XOp, source: str) -> tuple[Args, list[Grid]]:
    """Arguments with their grids: input, weights, bias."""
    args = {"input": (source,)} | {key: op.args[key] for key in ("weights", "bias") if op.args.get(key)}
    for key, names in args.items():
        if key != "input" and scene.constant(names[0]) is None:
            raise NotOnDpuError(f"its {key} are not a quantized constant")
    return args, [scene.fixed(names[0]) for names in args.values()]


def _attrs(scene: Scene, op: XOp, tail: Tail, grids: list[Grid]) -> Attrs:
    cut = grids[0].position + grids[1].position - tail.grid.position
    bias = grids[0].position + grids[1].position - grids[2].position if len(grids) > 2 else None
    check_convolution(cut, bias)
    attrs: Attrs = {
        "pad_mode": text("FLOOR"),
        "nonlinear": text(tail.nonlinear),
        "hsigmoid_in": int32(_UNSET),
        "shift_hsigmoid": int32(_UNSET),
        "shift_hswish": int32(_UNSET),
        "shift_cut": int32(cut),
    }
    if bias is not None:
        attrs["shift_bias"] = int32(bias)
    if op.kind == "conv2d" or "group" in op.attrs:
        attrs["group"] = int32(op.get("group", 1))
    kept = {name: op.attrs[name] for name in ("bias_term", "in_dim", "out_dim", "origin") if name in op.attrs}
    return attrs | kept


def product(scene: Scene, op: XOp) -> Cluster:
    """matmul and inner-product of rows with constant weights: a convolution over an image of the rows.

    A flattened image is taken as it was, with a window of its size, where that is within the engine's reach.
    """
    x, weights, bias = _product_arguments(scene, op)
    tail = scene.tail(op.name, fusable(scene, op.name, scene.target.conv))
    data, grid = _rows(scene, op, weights)
    source, before, kernel = _image(scene, op, x, scene.fixed(x))
    shape = before[-1].shape if before else scene.op(source).tensor.shape
    held = data.reshape(data.shape[0], kernel[1], kernel[0], -1)
    constant = Draft(f"{scene.source(weights).name}(reshaped)", "const-fix", held.shape, grid, data=held)
    out = (shape[0], 1, 1 if kernel != (1, 1) else shape[2], data.shape[0])
    axes = tuple(
        Axis(size, count, k, 1, 1, 0, 0)
        for size, count, k in zip(shape[2:0:-1], out[2:0:-1], kernel, strict=True)
    )
    args = {"input": (source if not before else before[-1].name,), "weights": (constant.name,)}
    grids = [scene.fixed(x), grid]
    if bias is not None:
        args["bias"] = (bias,)
        grids.append(scene.fixed(bias))
    attrs = window_attrs(axes) | _attrs(scene, replace_kind(op), tail, grids) | {"group": int32(1)}
    name = f"{op.name}(TransferMatMulToConv2d)"
    whole = out == op.tensor.shape
    conv = Draft(
        name,
        "conv2d-fix",
        out,
        tail.grid,
        args,
        attrs,
        tail.fix.tensor.name + ("" if whole else "(MoveReshape)"),
    )
    after = () if whole else (_reshaped(conv, op, tail),)
    return Cluster(tail.members, tail.fix.name, (constant, *before, conv, *after))


def replace_kind(op: XOp) -> XOp:
    """The operator as a plain one, for the attributes that every convolution has."""
    return XOp(op.name, "product", op.tensor, op.args, op.attrs)


def _reshaped(conv: Draft, op: XOp, tail: Tail) -> Draft:
    attrs: Attrs = {"shape": int32s(op.tensor.shape)}
    name = f"{conv.tensor}_reshaped"
    return Draft(
        name, "reshape-fix", op.tensor.shape, tail.grid, {"input": (conv.name,)}, attrs, tail.fix.tensor.name
    )


def _product_arguments(scene: Scene, op: XOp) -> tuple[str, str, str | None]:
    if op.kind == "matmul":
        x, weights = op.args["input"][:2]
        if op.get("transpose_a", False):
            raise NotOnDpuError("its left side is transposed")
    else:
        x, weights = op.args["input"][0], op.args["weights"][0]
    bias = op.arg("bias")
    if bias is not None and scene.constant(bias) is None:
        raise NotOnDpuError("its bias is not a quantized constant")
    scene.fixed(x)
    return x, weights, bias


def _rows(scene: Scene, op: XOp, weights: str) -> tuple[Array, Grid]:
    """The weights as [outputs, inputs]."""
    found = scene.constant(weights)
    if found is None:
        raise NotOnDpuError("its weights are not a quantized constant")
    data, grid = found
    if data.ndim != 2:
        raise NotOnDpuError(f"its weights have {data.ndim} axes")
    if op.kind == "matmul" and not op.get("transpose_b", False):
        data = np.ascontiguousarray(data.T)
    if op.tensor.shape[-1] != data.shape[0]:
        raise NotOnDpuError(f"its weights {data.shape} do not give {op.tensor.shape[-1]} outputs")
    return data, grid


def _image(scene: Scene, op: XOp, x: str, grid: Grid) -> tuple[str, tuple[Draft, ...], tuple[int, int]]:
    """The image that holds the rows: its fix, a reshape-fix to make it, and the kernel (w, h)."""
    shape = scene.op(x).tensor.shape
    origin = scene.source(x)
    if len(shape) == 2 and origin.kind in ("reshape", "flatten", "squeeze"):
        flat = origin.args["input"][0]
        before = scene.op(flat).tensor.shape
        same = scene.op(flat).kind == "fix" and Grid.of(scene.op(flat)).numbers == grid.numbers
        if same and len(before) == 4 and before[0] == shape[0] and max(before[1:3]) <= LARGEST_KERNEL:
            return flat, (), (before[2], before[1])
    if len(shape) == 4 and shape[1] == 1:
        return x, (), (1, 1)
    rows = int(np.prod(shape[1:-1], dtype=np.int64))
    target = (shape[0], 1, rows, shape[-1])
    name = f"{op.name}_rows"
    draft = Draft(name, "reshape-fix", target, grid, {"input": (x,)}, {"shape": int32s(target)})
    return x, (draft,), (1, 1)


def scale(scene: Scene, op: XOp) -> Cluster:
    """A factor and an offset per channel: a depthwise convolution with a window of one pixel."""
    shape = op.tensor.shape
    if len(shape) != 4 or op.get("axis", -1) % 4 != 3:
        raise NotOnDpuError("it does not scale the channels of an image")
    return _per_channel(scene, op, op.args["input"][0], op.args["scale"][0], op.arg("bias"))


def times_constant(scene: Scene, op: XOp) -> Cluster:
    """A product with one number, or one per channel."""
    x, factor = op.args["input"]
    if scene.constant(factor) is None:
        x, factor = factor, x
    return _per_channel(scene, op, x, factor, None)


def _per_channel(scene: Scene, op: XOp, x: str, factor: str, bias: str | None) -> Cluster:
    found = scene.constant(factor)
    if found is None or (bias is not None and scene.constant(bias) is None):
        raise NotOnDpuError("its factors are not quantized constants")
    data, grid = found
    channels = op.tensor.shape[-1]
    if scene.op(x).tensor.shape != op.tensor.shape or data.size not in (1, channels):
        raise NotOnDpuError(f"{data.size} factors for {channels} channels")
    tail = scene.tail(op.name, fusable(scene, op.name, depthwise_engine(scene)))
    held = np.broadcast_to(data.reshape(-1), (channels,)).reshape(1, 1, 1, channels)
    constant = Draft(f"{scene.source(factor).name}(reshaped)", "const-fix", held.shape, grid, data=held)
    args = {"input": (x,), "weights": (constant.name,)}
    grids = [scene.fixed(x), grid]
    if bias is not None:
        args["bias"] = (bias,)
        grids.append(scene.fixed(bias))
    axes = tuple(Axis(size, size, 1, 1, 1, 0, 0) for size in op.tensor.shape[2:0:-1])
    attrs = window_attrs(axes) | _attrs(scene, op, tail, grids)
    draft = Draft(
        op.name, "depthwise-conv2d-fix", op.tensor.shape, tail.grid, args, attrs, tail.fix.tensor.name
    )
    return Cluster(tail.members, tail.fix.name, (constant, draft))

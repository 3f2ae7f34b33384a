"""Sums, products, hard sigmoids, and steps from one grid to another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantforge.compiler.fusing.activations import eltwise_engine, fusable
from quantforge.compiler.fusing.convolutions import times_constant
from quantforge.compiler.fusing.draft import (
    Cluster,
    Draft,
    NotOnDpuError,
    Scene,
    Tail,
    const_data,
    int32,
    int32s,
    text,
)
from quantforge.compiler.fusing.shifts import check_hard_sigmoid, check_product, check_sum
from quantforge.compiler.grid import Grid
from quantforge.numerics.law import HARD_SIGMOID_SLOPE
from quantforge.xmodel.model import Attrs, XOp


def total(scene: Scene, op: XOp) -> Cluster:
    """add of two or more tensors, with an activation."""
    tail = scene.tail(op.name, fusable(scene, op.name, eltwise_engine(scene)))
    positions = [scene.fixed(name).position for name in op.args["input"]]
    check_sum(positions, tail.grid.position)
    return _eltwise(op, tail, "ADD")


def times(scene: Scene, op: XOp) -> Cluster:
    """mul of two tensors; by constants per channel a depthwise convolution."""
    names = op.args["input"]
    constants = [
        name for name in names if scene.op(name).kind == "fix" and scene.source(name).kind == "const"
    ]
    if len(names) == 2 and len(constants) == 1 and _per_channel(scene, op, constants[0]):
        return times_constant(scene, op)
    tail = scene.tail(op.name, fusable(scene, op.name, eltwise_engine(scene)))
    positions = [scene.fixed(name).position for name in names]
    check_product(positions, tail.grid.position)
    return _eltwise(op, tail, "MUL")


def _per_channel(scene: Scene, op: XOp, name: str) -> bool:
    """Whether a constant has one number, or one per channel of an image."""
    shape = scene.op(name).tensor.shape
    other = next((n for n in op.args["input"] if n != name), name)
    return (
        len(op.tensor.shape) == 4
        and scene.op(other).tensor.shape == op.tensor.shape
        and (shape[-1] == op.tensor.shape[-1] or int(np.prod(shape)) == 1)
        and int(np.prod(shape[:-1], dtype=np.int64)) == 1
    )


def _eltwise(op: XOp, tail: Tail, kind: str) -> Cluster:
    attrs: Attrs = {"type": text(kind), "nonlinear": text(tail.nonlinear)}
    draft = Draft(
        op.name,
        "eltwise-fix",
        op.tensor.shape,
        tail.grid,
        {"input": op.args["input"]},
        attrs,
        tail.fix.tensor.name,
    )
    return Cluster(tail.members, tail.fix.name, (draft,))


def hard_sigmoid(scene: Scene, op: XOp) -> Cluster:
    """hard-sigmoid times 6 * 2731 / 2**14: relu6(x + 3) * 2731 / 2**14, the slope of the hardware."""
    follower = scene.only_reader(op.name)
    wanted = 6 * HARD_SIGMOID_SLOPE.value
    if follower is None or follower.kind != "mul" or _number(scene, follower, op.name) is None:
        raise NotOnDpuError(f"its slope is 1/6; a DPU has {HARD_SIGMOID_SLOPE.numerator}/2**14")
    factor = _number(scene, follower, op.name) or 0.0
    if abs(factor - wanted) > 1e-6:
        raise NotOnDpuError(f"it is multiplied by {factor:g}; a DPU's slope makes that {wanted:g}")
    tail = scene.tail(follower.name, {})
    tail = replace(tail, members=(op.name, *tail.members))
    position = scene.fixed(op.args["input"][0]).position
    check_hard_sigmoid(position, tail.grid.position)
    attrs: Attrs = {
        "hsigmoid_in": int32(position),
        "shift_hsigmoid": int32(HARD_SIGMOID_SLOPE.shift + position - tail.grid.position),
    }
    draft = Draft(
        op.name, "hard-sigmoid-fix", op.tensor.shape, tail.grid, {"input": op.args["input"]}, attrs,
        tail.fix.tensor.name,
    )  # fmt: skip
    return Cluster(tail.members, tail.fix.name, (draft,))


def _number(scene: Scene, op: XOp, beside: str) -> float | None:
    """The one number that `op` has as its other operand."""
    others = [name for name in op.args["input"] if name != beside]
    if len(others) != 1:
        return None
    other = scene.op(others[0])
    if other.kind == "fix":
        other = scene.source(other.name)
    if other.kind != "const" or int(np.prod(other.tensor.shape)) != 1:
        return None
    return float(const_data(other).reshape(-1)[0])


def requantize(scene: Scene, op: XOp) -> Cluster:
    """A fix behind another: a max pool with windows of one pixel shifts; a sum of one where there is no image."""
    before = scene.op(op.args["input"][0])
    source, grid = scene.fixed(before.name), Grid.of(op)
    if not grid.on_dpu:
        raise NotOnDpuError(f"its output is quantized to {grid.bits} bits, a DPU has signed bytes")
    check_sum([source.position], grid.position)
    attrs: Attrs
    if len(op.tensor.shape) == 4:
        ones = int32s([1, 1])
        kind = "pool-fix"
        attrs = {"kernel": ones, "stride": ones, "pad": int32s([0, 0, 0, 0]), "type": text("MAX")}
    else:
        kind, attrs = "eltwise-fix", {"type": text("ADD"), "nonlinear": text("NONE")}
    draft = Draft(op.name, kind, op.tensor.shape, grid, {"input": (before.name,)}, attrs, op.tensor.name)
    return Cluster((op.name,), op.name, (draft,))


def activation(scene: Scene, op: XOp) -> Cluster:
    """An activation with no engine in front of it to fuse it with: a sum of one."""
    names = fusable_alone(scene, op)
    tail = scene.tail(op.name, {})
    position = scene.fixed(op.args["input"][0]).position
    check_sum([position], tail.grid.position)
    return _eltwise(op, replace(tail, nonlinear=names), "ADD")


def fusable_alone(scene: Scene, op: XOp) -> str:
    """The word for `op` when the element-wise engine has it.

    Raises:
        NotOnDpuError: When it has not.
    """
    from quantforge.compiler.fusing.activations import WORDS

    engine = eltwise_engine(scene)
    word, nonlinear = WORDS[op.kind]
    if engine is None or word not in engine.nonlinear:
        raise NotOnDpuError(f"no engine in front of it has {op.kind}")
    return nonlinear

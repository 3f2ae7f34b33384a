"""Max and average pooling, and means and maxima over axes of an image.

A DPU averages by sum * N / 2**M with padding counted as zeros (`quantforge.numerics.law.average_pool_factor`); the
exporters write that as an average times a constant, or as `dpu_factor`. Any other average is the exact one, which
the software DPU does under the attribute `avg_exact`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quantforge.compiler.fusing.draft import (
    Cluster,
    Draft,
    NotOnDpuError,
    Scene,
    Tail,
    const_data,
    flag,
    int32s,
    text,
)
from quantforge.compiler.fusing.windows import Axis, window_attrs, windows
from quantforge.numerics.law import average_factor, average_pool_factor
from quantforge.xmodel.model import Attrs, XOp


def max_pool(scene: Scene, op: XOp) -> Cluster:
    """maxpool2d; padding never wins."""
    shape = _image(scene, op)
    tail = scene.tail(op.name, {})
    return _cluster(scene, op, tail, windows(op, shape), {"type": text("MAX")})


def average_pool(scene: Scene, op: XOp) -> Cluster:
    """avgpool2d, with the factor behind it where there is one."""
    shape = _image(scene, op)
    axes = windows(op, shape)
    kernel = tuple(axis.kernel for axis in reversed(axes[:2]))
    given = op.get("dpu_factor")
    if given is not None:
        if tuple(given) != tuple(average_pool_factor(kernel)):
            raise NotOnDpuError(f"it multiplies sums by {given[0]}/2**{given[1]}, which a DPU does not")
        return _cluster(scene, op, scene.tail(op.name, {}), axes, {"type": text("AVG")})
    members, ratio = _factor_behind(scene, op)
    tail = scene.tail(members[-1], {})
    tail = replace(tail, members=(*members[:-1], *tail.members))
    count = kernel[0] * kernel[1]
    padded = any(axis.begin or axis.end for axis in axes)
    counted = not padded or (op.get("count_include_pad", True) and op.get("count_include_invalid", True))
    if counted and abs(ratio - count * average_pool_factor(kernel).value) < 1e-6:
        return _cluster(scene, op, tail, axes, {"type": text("AVG")})
    return _cluster(scene, op, tail, axes, _exact(op, axes, ratio))


def _exact(op: XOp, axes: tuple[Axis, ...], ratio: float) -> Attrs:
    if ratio != 1.0:
        raise NotOnDpuError(f"its average is multiplied by {ratio:g}")
    include, invalid = op.get("count_include_pad", True), op.get("count_include_invalid", True)
    beyond = any(
        axis.begin + axis.end > sum(op.get("pad", (0,) * 4)[2 * i : 2 * i + 2]) for i, axis in enumerate(axes)
    )
    if beyond and include != invalid:
        raise NotOnDpuError("its last windows leave the image, and count padding in another way")
    return {"type": text("AVG"), "avg_exact": flag(True), "count_include_pad": flag(bool(include))}


def _factor_behind(scene: Scene, op: XOp) -> tuple[list[str], float]:
    """The operators up to a product with one number behind `op`, and the number; 1 without."""
    follower = scene.only_reader(op.name)
    if follower is None or follower.kind != "mul" or len(follower.args["input"]) != 2:
        return [op.name], 1.0
    other = next(scene.op(name) for name in follower.args["input"] if name != op.name)
    if other.kind == "fix":
        other = scene.source(other.name)
    if other.kind != "const" or int(np.prod(other.tensor.shape)) != 1:
        return [op.name], 1.0
    return [op.name, follower.name], float(const_data(other).reshape(-1)[0])


def mean(scene: Scene, op: XOp) -> Cluster:
    """reduction_mean over height and width: an average pool with one window."""
    shape = _image(scene, op)
    axes = _whole(op, shape)
    if tuple(_axes(op, 4)) != (1, 2):
        raise NotOnDpuError(f"it averages over axes {_axes(op, 4)}, a DPU over height and width")
    kernel = (shape[1], shape[2])
    given = op.get("dpu_factor")
    members, ratio = _factor_behind(scene, op)
    tail = scene.tail(members[-1], {})
    tail = replace(tail, members=(*members[:-1], *tail.members))
    pool, reduce = average_pool_factor(kernel), average_factor(kernel[0] * kernel[1])
    wanted = ratio if given is None else given[0] / 2 ** given[1] * kernel[0] * kernel[1]
    attrs: Attrs = {"type": text("AVG")}
    if abs(wanted - kernel[0] * kernel[1] * pool.value) >= 1e-6:
        if given is not None or ratio != 1.0:
            raise NotOnDpuError(
                f"its factor {wanted:g} is not {reduce.value:g} nor {pool.value:g} times the count"
            )
        attrs |= {"avg_exact": flag(True), "count_include_pad": flag(True)}
    return _reduced(scene, op, tail, axes, attrs)


def maximum(scene: Scene, op: XOp) -> Cluster:
    """reduction_max: over height or width a max pool, over the channels an operator of its own."""
    shape, axes = _image(scene, op), _axes(op, 4)
    tail = scene.tail(op.name, {})
    if set(axes) <= {1, 2}:
        return _reduced(scene, op, tail, _whole(op, shape), {"type": text("MAX")})
    if tuple(axes) != (3,):
        raise NotOnDpuError(f"it takes the maximum over axes {axes}")
    attrs: Attrs = {"axis": int32s([3]), "keep_dims": flag(bool(op.get("keep_dims", False)))}
    draft = Draft(
        tail.fix.name, "reduction_max-fix", op.tensor.shape, tail.grid, {"input": (op.args["input"][0],)}, attrs,
        tail.fix.tensor.name,
    )  # fmt: skip
    scene.fixed(op.args["input"][0])
    return Cluster(tail.members, tail.fix.name, (draft,))


def _axes(op: XOp, rank: int) -> list[int]:
    return sorted(axis % rank for axis in op.get("axis", ()))


def _whole(op: XOp, shape: Sequence[int]) -> tuple[Axis, ...]:
    """One window over every reduced axis, in the order (w, h)."""
    reduced = _axes(op, 4)
    return tuple(
        Axis(shape[place], 1, shape[place], 1, 1, 0, 0)
        if place in reduced
        else Axis(shape[place], shape[place], 1, 1, 1, 0, 0)
        for place in (2, 1)
    )


def _image(scene: Scene, op: XOp) -> tuple[int, ...]:
    name = op.args["input"][0]
    scene.fixed(name)
    shape = scene.op(name).tensor.shape
    if len(shape) != 4:
        raise NotOnDpuError(f"its input has {len(shape)} axes, an image has 4")
    return shape


def _reduced(scene: Scene, op: XOp, tail: Tail, axes: tuple[Axis, ...], attrs: Attrs) -> Cluster:
    """A pool, and a reshape where the reduced axes do not stay."""
    name = op.args["input"][0]
    shape = scene.op(name).tensor.shape
    out = (shape[0], axes[1].out, axes[0].out, shape[3])
    if out == op.tensor.shape:
        return _cluster(scene, op, tail, axes, attrs)
    attrs = window_attrs(axes, dilation=False) | attrs
    pool = Draft(op.name, "pool-fix", out, tail.grid, {"input": (name,)}, attrs)
    last = Draft(
        tail.fix.name, "reshape-fix", op.tensor.shape, tail.grid, {"input": (pool.name,)},
        {"shape": int32s(op.tensor.shape)}, tail.fix.tensor.name,
    )  # fmt: skip
    return Cluster(tail.members, tail.fix.name, (pool, last))


def _cluster(scene: Scene, op: XOp, tail: Tail, axes: tuple[Axis, ...], attrs: Attrs) -> Cluster:
    name = op.args["input"][0]
    whole = window_attrs(axes, dilation=False) | attrs
    draft = Draft(
        tail.fix.name, "pool-fix", op.tensor.shape, tail.grid, {"input": (name,)}, whole, tail.fix.tensor.name
    )
    return Cluster(tail.members, tail.fix.name, (draft,))

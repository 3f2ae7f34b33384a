"""Operators that copy bytes: no number changes, so all tensors of one operator share a grid."""

from __future__ import annotations

import math

from quantforge.compiler.fusing.draft import (
    Cluster,
    Draft,
    NotOnDpuError,
    Rule,
    Scene,
    Tail,
    int32,
    int32s,
    text,
)
from quantforge.compiler.settle import moves
from quantforge.xmodel.model import Attr, Attrs, XOp


def copying(kind: str, attrs: tuple[str, ...]) -> Rule:
    """A rule for an operator whose fixed form has the same attributes."""

    def rule(scene: Scene, op: XOp) -> Cluster:
        return _moved(scene, op, kind, {name: op.attrs[name] for name in attrs if name in op.attrs})

    return rule


def reshape(scene: Scene, op: XOp) -> Cluster:
    """reshape, flatten, squeeze and identity: the same bytes."""
    return _moved(scene, op, "reshape-fix", {"shape": int32s(op.tensor.shape)})


def transpose(scene: Scene, op: XOp) -> Cluster:
    """A transpose that only moves axes of size 1 is a reshape.

    Raises:
        NotOnDpuError: For any other.
    """
    shape = scene.op(op.args["input"][0]).tensor.shape
    solid = [axis for axis in op.get("order", ()) if shape[axis] != 1]
    if solid != sorted(solid):
        raise NotOnDpuError(f"it reorders memory: axes {list(op.get('order', ()))} of {list(shape)}")
    return reshape(scene, op)


def concat(scene: Scene, op: XOp) -> Cluster:
    """concat-fix."""
    return _moved(scene, op, "concat-fix", {"axis": int32(op.get("axis") % len(op.tensor.shape))})


def pad(scene: Scene, op: XOp) -> Cluster:
    """pad-fix with zeros or mirrored."""
    mode = op.get("mode")
    if not moves(op):
        raise NotOnDpuError(
            f"it pads by {mode} of {op.get('constant_values')}; a DPU pads with zeros or SYMMETRIC"
        )
    attrs: Attrs = {
        "paddings": op.attrs["paddings"],
        "mode": text(mode),
        "constant_values": Attr("bytes", b""),
    }
    return _moved(scene, op, "pad-fix", attrs)


def shuffle(scene: Scene, op: XOp) -> Cluster:
    """pixel-shuffle-fix; its shape rule reads `upscale`, its definition has `reverse`."""
    upscale = Attr("bool", bool(op.get("upscale")))
    return _moved(
        scene, op, "pixel-shuffle-fix", {"scale": op.attrs["scale"], "upscale": upscale, "reverse": upscale}
    )


def resize(scene: Scene, op: XOp) -> Cluster:
    """upsample-fix; the numbers between two pixels are rounded once."""
    name = op.args["input"][0]
    shape = scene.op(name).tensor.shape
    scene.fixed(name)
    if len(shape) != 4 or op.get("mode") not in ("NEAREST", "BILINEAR"):
        raise NotOnDpuError(f"it resizes {len(shape)} axes by {op.get('mode')}")
    tail = scene.tail(op.name, {})
    ratio = [op.tensor.shape[place] / shape[place] for place in (2, 1)]
    if any(not math.isclose(step, round(step)) or round(step) < 1 for step in ratio):
        raise NotOnDpuError(f"it resizes {list(shape)} to {list(op.tensor.shape)}, not by whole factors")
    kept = ("mode", "align_corners", "half_pixel_centers")
    attrs: Attrs = {key: op.attrs[key] for key in kept if key in op.attrs}
    attrs["scale"] = Attr("float_vec", tuple(ratio))
    draft = Draft(
        op.name, "upsample-fix", op.tensor.shape, tail.grid, {"input": (name,)}, attrs, tail.fix.tensor.name
    )
    return Cluster(tail.members, tail.fix.name, (draft,))


def _moved(scene: Scene, op: XOp, kind: str, attrs: Attrs) -> Cluster:
    tail: Tail = scene.tail(op.name, {})
    for name in op.args["input"]:
        grid = scene.fixed(name)
        if grid.numbers != tail.grid.numbers:
            found = f"from fix point {grid.position} to {tail.grid.position}"
            raise NotOnDpuError(f"it would have to shift {name!r} {found}; copying operators do not")
    draft = Draft(
        op.name, kind, op.tensor.shape, tail.grid, {"input": op.args["input"]}, attrs, tail.fix.tensor.name
    )
    return Cluster(tail.members, tail.fix.name, (draft,))

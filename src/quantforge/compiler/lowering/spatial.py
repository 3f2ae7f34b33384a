"""Padding, resizing, and the moves between channels and space."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from quantforge.compiler.lowering import layout
from quantforge.compiler.lowering.layout import Sizes
from quantforge.compiler.lowering.writer import (
    Held,
    NotInXirError,
    Rule,
    Writer,
    flag,
    float32s,
    int32,
    int32s,
    text,
)
from quantforge.graph import Attr, Op
from quantforge.ops.attributes import floats, integer, ints, number
from quantforge.ops.attributes import text as op_text
from quantforge.ops.registry import spec
from quantforge.xmodel.model import Attrs

_PAD_MODES = {"constant": "CONSTANT", "reflect": "REFLECT", "symmetric": "SYMMETRIC"}


def pad(writer: Writer, op: Op) -> None:
    """paddings lists (before, after) per axis in memory; an edge of one element is the symmetric mode."""
    x = writer.view(writer.input(op))
    rank, pads = len(x.shape), ints(op, "pads")
    mode = op_text(op, "mode", "constant")
    if mode == "edge" and max(pads) <= 1:
        mode = "symmetric"
    if min(pads) < 0 or mode not in _PAD_MODES:
        raise NotInXirError(f"padding of mode {mode} by {min(pads)}..{max(pads)}")
    listed = [pads[axis + half] for axis in x.order for half in (0, rank)]
    attrs: Attrs = {"paddings": int32s(listed), "mode": text(_PAD_MODES[mode])}
    if mode == "constant":
        attrs["constant_values"] = float32s([number(op, "value", 0.0)] * 2 * rank)
    writer.output(op, "pad", {"input": [x.op]}, attrs, x.order)


def resize(writer: Writer, op: Op) -> None:
    """Nearest and linear interpolation of images, where XIR's coordinates pick the same elements as ONNX's.

    XIR knows scale = out / in only, and for nearest the coordinates floor(o in / out), with half_pixel_centers
    floor((o + 0.5) in / out).
    """
    x, out = writer.input(op), writer.shape(op.outputs[0])
    rank, mode = len(x.shape), op_text(op, "mode", "nearest")
    if rank not in (4, 5) or out[:2] != x.shape[:2] or (rank == 5 and mode != "linear") or mode == "cubic":
        raise NotInXirError(f"{mode} resizing from {x.shape} to {out}")
    _require_whole_scale(op, x.shape, out)
    corners, half = _nearest(op, x.shape, out) if mode == "nearest" else _linear(op, x.shape, out)
    names = {"nearest": "NEAREST", "linear": "BILINEAR" if rank == 4 else "TRILINEAR"}
    scales = [new / old for new, old in zip(out[2:], x.shape[2:], strict=True)]
    image = writer.view(x, layout.channels_last(rank))
    attrs: Attrs = {
        "mode": text(names[mode]),
        "align_corners": flag(corners),
        "half_pixel_centers": flag(half),
        "scale": float32s(scales[::-1]),
    }
    writer.output(op, "resize", {"input": [image.op]}, attrs, image.order)


def _require_whole_scale(op: Op, old: Sizes, new: Sizes) -> None:
    """ONNX keeps the scale it is given even where it does not divide the sizes; XIR has only out / in."""
    if "sizes" in op.attrs or op.attrs.get("coordinate") == "align_corners":
        return
    given = floats(op, "scales")
    for scale, before, after in zip(given[-len(old) + 2 :], old[2:], new[2:], strict=True):
        if not math.isclose(scale * before, after, rel_tol=1e-6):
            raise NotInXirError(f"resizing by {scale:g} of {before} positions")


def _nearest(op: Op, old: Sizes, new: Sizes) -> tuple[bool, bool]:
    """align_corners and half_pixel_centers for which XIR takes the same elements; both are tried."""
    for corners, half in ((False, False), (False, True), (True, False)):
        if all(_same_picks(op, old, new, axis, corners, half) for axis in range(2, len(old))):
            return corners, half
    raise NotInXirError("nearest resizing that XIR rounds otherwise")


def _same_picks(op: Op, old: Sizes, new: Sizes, axis: int, corners: bool, half: bool) -> bool:
    """Whether XIR and ONNX take the same elements along one axis."""
    shape = [1] * len(old)
    shape[axis] = old[axis]
    one = replace(op, attrs=_along(op, axis, len(old), new))
    picked = spec("resize").compute(one, [np.arange(old[axis], dtype=np.float32).reshape(shape)])[0]
    out = np.arange(new[axis], dtype=np.float64)
    if corners:
        found = np.floor(out * ((old[axis] - 1) / max(new[axis] - 1, 1)) + 0.5)
    else:
        found = np.floor((out + (0.5 if half else 0.0)) * (old[axis] / new[axis]))
    return bool(np.array_equal(picked.reshape(-1), np.minimum(found, old[axis] - 1)))


def _along(op: Op, axis: int, rank: int, new: Sizes) -> dict[str, Attr]:
    """The op's attributes for one axis alone."""
    attrs: dict[str, Attr] = {k: v for k, v in op.attrs.items() if k not in ("scales", "sizes")}
    if "sizes" in op.attrs:
        return attrs | {"sizes": tuple(new[axis] if at == axis else 1 for at in range(rank))}
    scale = floats(op, "scales")[axis - rank]
    return attrs | {"scales": tuple(scale if at == axis else 1.0 for at in range(rank))}


def _linear(op: Op, old: Sizes, new: Sizes) -> tuple[bool, bool]:
    coordinate = op_text(op, "coordinate", "half_pixel")
    if coordinate == "pytorch_half_pixel" and 1 in new[2:]:
        raise NotInXirError("pytorch_half_pixel to a single position")
    return coordinate == "align_corners", coordinate in ("half_pixel", "pytorch_half_pixel")


def pixel_shuffle(writer: Writer, op: Op) -> None:
    """Depth to space: channels first (PyTorch's order) is pixel-shuffle, depth first gstiling in reverse."""
    by = integer(op, "scale")
    if op_text(op, "mode", "DCR") == "CRD":
        _rearrange(writer, op, "pixel-shuffle", {"scale": int32(by), "upscale": flag(True)})
    else:
        _rearrange(writer, op, "gstiling", {"stride": int32(by), "reverse": flag(True)})


def space_to_depth(writer: Writer, op: Op) -> None:
    """Space to depth, depth first: gstiling."""
    _rearrange(writer, op, "gstiling", {"stride": int32(integer(op, "scale")), "reverse": flag(False)})


def _rearrange(writer: Writer, op: Op, kind: str, attrs: Attrs) -> None:
    if op_text(op, "layout", "NCHW") != "NCHW":
        raise NotInXirError(f"layout {op.attrs['layout']}")
    image: Held = writer.view(writer.input(op), layout.channels_last(4))
    writer.output(op, kind, {"input": [image.op]}, attrs, image.order)


RULES: dict[str, Rule] = {
    "pad": pad,
    "resize": resize,
    "pixel-shuffle": pixel_shuffle,
    "space-to-depth": space_to_depth,
}

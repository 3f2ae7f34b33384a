"""Kinds of operators that move or rearrange data: reshape family, slices, pad, resize."""

from __future__ import annotations

import numpy as np

from quantforge.frontends.onnx.native import dtype_name
from quantforge.frontends.onnx.view import Mapped, NodeView
from quantforge.graph import Attr, Dim

_COORDINATES = {"half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"}


def reshape(view: NodeView) -> Mapped:
    """Reshape: 0 keeps the size at its position, one -1 takes the rest."""
    shape = view.ints("shape", 1) or ()
    view.require(not view.attr("allowzero", 0) or 0 not in shape, "allowzero with a zero")
    return Mapped("reshape", {"shape": shape})


def flatten(view: NodeView) -> Mapped:
    """Flatten to two dimensions around `axis`."""
    axis = int(view.attr("axis", 1))
    return Mapped("flatten", {"axis": axis + view.rank(0) if axis < 0 else axis})


def squeeze(view: NodeView) -> Mapped:
    """Squeeze; without axes, every dimension of size 1."""
    axes, rank = view.ints("axes", 1), view.rank(0)
    if axes is None:
        shape = view.shape(0) or ()
        view.require(all(isinstance(d, int) for d in shape), "axes that depend on an unknown size")
        axes = tuple(i for i, d in enumerate(shape) if d == 1)
    return Mapped("squeeze", {"axes": tuple(view.axis(a, rank) for a in axes)})


def unsqueeze(view: NodeView) -> Mapped:
    """Unsqueeze; axes count in the output."""
    axes = view.ints("axes", 1) or ()
    rank = view.rank(0) + len(axes)
    return Mapped("unsqueeze", {"axes": tuple(view.axis(a, rank) for a in axes)})


def transpose(view: NodeView) -> Mapped:
    """Transpose; without perm, the axes reversed."""
    return Mapped("transpose", {"order": view.ints("perm") or tuple(reversed(range(view.rank(0))))})


def strided_slice(view: NodeView) -> Mapped:
    """Slice, with begin and end inside the dimension where its size is known."""
    begin, end = view.ints("starts", 1), view.ints("ends", 2)
    view.require(begin is not None and end is not None, "no starts or ends")
    begin, end = begin or (), end or ()
    axes = view.ints("axes", 3) or tuple(range(len(begin)))
    strides = view.ints("steps", 4) or (1,) * len(begin)
    shape = view.shape(0)
    rank = len(shape) if shape is not None else 0
    if shape is not None:
        axes = tuple(view.axis(a, rank) for a in axes)
    view.require(all(a >= 0 for a in axes), "negative axes of an unknown rank")
    limits = [
        _limits(shape[a] if shape is not None else None, b, e, s)
        for a, b, e, s in zip(axes, begin, end, strides, strict=True)
    ]
    attrs: dict[str, Attr] = {
        "begin": tuple(b for b, _ in limits),
        "end": tuple(e for _, e in limits),
        "strides": strides,
        "axes": axes,
    }
    return Mapped("strided-slice", attrs)


def _limits(size: Dim, begin: int, end: int, stride: int) -> tuple[int, int]:
    if isinstance(size, int) and stride > 0:
        return slice(begin, end).indices(size)[:2]
    return begin, end


def split(view: NodeView) -> Mapped:
    """Split into `sizes` along `axis`."""
    axis = view.axis(int(view.attr("axis", 0)), view.rank(0))
    sizes = view.ints("split", 1)
    if sizes is None:
        whole, parts = (view.shape(0) or ())[axis], len(view.node.output)
        view.require(isinstance(whole, int), "equal parts of an unknown size")
        chunk = -(-int(str(whole)) // parts)
        sizes = tuple(min(chunk, int(str(whole)) - chunk * i) for i in range(parts))
    return Mapped("split", {"axis": axis, "sizes": sizes})


def concat(view: NodeView) -> Mapped:
    """Concat of any number of inputs."""
    rank = next((len(s) for i in range(len(view.node.input)) if (s := view.shape(i)) is not None), None)
    axis = int(view.attr("axis"))
    view.require(axis >= 0 or rank is not None, "a negative axis of an unknown rank")
    return Mapped(
        "concat", {"axis": axis + (rank or 0) if axis < 0 else axis}, tuple(range(len(view.node.input)))
    )


def gather(view: NodeView) -> Mapped:
    """Gather along one axis; the indices stay an input."""
    axis = int(view.attr("axis", 0))
    return Mapped("gather", {"axis": view.axis(axis, view.rank(0))}, (0, 1))


def expand(view: NodeView) -> Mapped:
    """Expand (broadcast) to a static shape, in which 1 keeps a size."""
    return Mapped("expand", {"shape": view.ints("shape", 1) or ()})


def tile(view: NodeView) -> Mapped:
    """Tile by static repeats."""
    return Mapped("tile", {"repeats": view.ints("repeats", 1) or ()})


def pad(view: NodeView) -> Mapped:
    """Pad, with pads for every axis."""
    mode = view.attr("mode", "constant")
    view.require(mode in ("constant", "reflect", "edge"), f"mode {mode!r}")
    pads, axes = view.ints("pads", 1), view.ints("axes", 3)
    view.require(pads is not None, "no pads")
    pads = pads or ()
    if axes is not None:
        rank, half = view.rank(0), len(pads) // 2
        whole = [0] * 2 * rank
        for i, axis in enumerate(axes):
            at = view.axis(axis, rank)
            whole[at], whole[at + rank] = pads[i], pads[i + half]
        pads = tuple(whole)
    value = view.scalar(2) if view.has(2) else float(view.attr("value", 0.0))
    return Mapped("pad", {"mode": mode, "pads": pads, "value": value or 0.0})


def resize(view: NodeView) -> Mapped:
    """Resize by scales or to sizes, in the forms that hardware and the graph know."""
    mode = view.attr("mode", "nearest")
    coordinate = view.attr("coordinate_transformation_mode", "half_pixel")
    view.require(
        mode in ("nearest", "linear", "cubic") and coordinate in _COORDINATES, f"{mode} {coordinate}"
    )
    view.require(
        not view.attr("antialias", 0) and not view.attr("exclude_outside", 0), "antialias or exclude_outside"
    )
    view.require(view.attr("keep_aspect_ratio_policy", "stretch") == "stretch", "keep_aspect_ratio_policy")
    view.require(abs(float(view.attr("cubic_coeff_a", -0.75)) + 0.75) < 1e-6, "cubic_coeff_a")
    attrs: dict[str, Attr] = {"mode": mode, "coordinate": coordinate}
    if mode == "nearest":
        attrs["nearest_mode"] = view.attr("nearest_mode", "round_prefer_floor")
    scales, sizes = view.static(2), view.static(3)
    axes = view.ints("axes")
    if scales is not None and scales.size:
        attrs["scales"] = tuple(float(s) for s in _on_all_axes(view, scales, axes, 1.0))
    else:
        view.require(sizes is not None, "neither scales nor sizes")
        whole = np.asarray(sizes)
        if axes is not None:
            shape = view.shape(0) or ()
            full = list(shape)
            for axis, size in zip(axes, whole, strict=True):
                full[axis] = int(size)
            view.require(
                bool(full) and all(isinstance(d, int) for d in full), "sizes on some axes of an unknown shape"
            )
            whole = np.array(full)
        attrs["sizes"] = tuple(int(s) for s in whole)
    return Mapped("resize", attrs)


def _on_all_axes(
    view: NodeView, values: np.ndarray, axes: tuple[int, ...] | None, fill: float
) -> list[float]:
    if axes is None:
        return [float(v) for v in values]
    full = [fill] * view.rank(0)
    for axis, value in zip(axes, values, strict=True):
        full[axis] = float(value)
    return full


def depth_to_space(view: NodeView) -> Mapped:
    """DepthToSpace: mode "DCR" (depth first) or "CRD" (pixel shuffle)."""
    return Mapped("pixel-shuffle", {"scale": int(view.attr("blocksize")), "mode": view.attr("mode", "DCR")})


def space_to_depth(view: NodeView) -> Mapped:
    """SpaceToDepth."""
    return Mapped("space-to-depth", {"scale": int(view.attr("blocksize"))})


def cast(view: NodeView) -> Mapped:
    """Cast to another element type."""
    return Mapped("cast", {"to": dtype_name(int(view.attr("to")))})

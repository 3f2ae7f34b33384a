"""What the rules of an operator look at, as named numbers.

Windows are read as a DPU would run them: all pads written out, pads that no window reaches cut off, a global pool
with a kernel of the size of its input. Names of axes are those of XIR: kernel_w, kernel_h, kernel_d, pad_left and so
on; ic and oc are channels in and out.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from quantforge.inspection.view import View
from quantforge.xmodel.model import XOp

Facts = dict[str, Any]
Pads = tuple[tuple[int, int], ...]
_AXES = ("w", "h", "d")
_PADS = (("pad_left", "pad_right"), ("pad_top", "pad_bottom"), ("pad_front", "pad_back"))
# Where width, height and depth lie in N, H, W, C and in N, H, W, D, C.
_PLACES = {2: (2, 1), 3: (2, 1, 3)}


def convolution_facts(view: View, op: XOp, before: Pads = ((0, 0),) * 3) -> Facts:
    """A convolution of any kind over an image; `before` are pads that a `pad` in front of it adds, as (w, h[, d])."""
    image = view.op(op.args["input"][0]).tensor.shape
    weights = view.op(op.args["weights"][0]).tensor.shape
    rank = len(image) - 2
    inner = tuple(
        size - sum(pads) for size, pads in zip((image[p] for p in _PLACES[rank]), before, strict=False)
    )
    transposed = "transposed" in op.kind
    pads = _transposed_pads(op, rank, inner) if transposed else _pads(op, rank, inner, before)
    depthwise = "depthwise" in op.kind
    facts = _window(op, rank, inner, pads) | {
        "ic": image[-1],
        "oc": op.tensor.shape[-1],
        "group": weights[-1] if depthwise else op.get("group", 1),
    }
    for axis, extra in zip(_AXES, op.get("output_padding", (0,) * rank), strict=False):
        facts[f"output_padding_{axis}"] = extra
    return facts


def product_facts(image: Sequence[int], outputs: int, kernel: tuple[int, int]) -> Facts:
    """A matrix product as a convolution whose window covers `kernel` (w, h) of an image N, H, W, C."""
    facts: Facts = {"ic": image[-1], "oc": outputs, "group": 1, "whole": True}
    for axis, size in zip(_AXES, kernel, strict=False):
        facts |= {f"kernel_{axis}": size, f"stride_{axis}": 1, f"dilation_{axis}": 1}
    return facts | dict.fromkeys((name for pair in _PADS[:2] for name in pair), 0)


def pointwise_facts(channels: int) -> Facts:
    """A depthwise convolution with a window of one pixel."""
    return product_facts((1, 1, 1, channels), channels, (1, 1)) | {"group": channels}


def pool_facts(view: View, op: XOp) -> Facts:
    """A pool over an image."""
    image = view.op(op.args["input"][0]).tensor.shape
    inner = tuple(image[place] for place in _PLACES[2])
    pads = _pads(op, 2, inner, ((0, 0),) * 2)
    return _window(op, 2, inner, pads) | {"ic": image[-1], "oc": image[-1]}


def reduction_facts(shape: Sequence[int], axes: Sequence[int]) -> Facts:
    """A mean or maximum over height, width or both as a pool with one window."""
    kernel = tuple(shape[place] if place in axes else 1 for place in _PLACES[2])
    facts = product_facts(shape, shape[-1], (kernel[0], kernel[1]))
    return facts | {"whole": True}


def eltwise_facts(view: View, op: XOp) -> Facts:
    """A sum or product of tensors."""
    shapes = [view.op(name).tensor.shape for name in op.args["input"]]
    solid = {_trimmed(shape) for shape in shapes}
    return {
        "ic": op.tensor.shape[-1],
        "num_inputs": len(shapes),
        "same_shape": len(solid) == 1,
        "shapes": " and ".join(str(list(shape)) for shape in shapes),
    }


def resize_facts(view: View, op: XOp) -> Facts:
    """A resize of an image or volume."""
    shape = view.op(op.args["input"][0]).tensor.shape
    facts: Facts = {
        "mode": op.get("mode"),
        "rank": len(shape),
        "ic": shape[-1],
        "align_corners": bool(op.get("align_corners", False)),
        "half_pixel_centers": bool(op.get("half_pixel_centers", False)),
    }
    places = _PLACES.get(len(shape) - 2, ())
    scales = {axis: Fraction(op.tensor.shape[p], shape[p]) for axis, p in zip(_AXES, places, strict=False)}
    return facts | {f"scale_{axis}": scales.get(axis, Fraction(1)) for axis in _AXES[:2]}


def pad_facts(view: View, op: XOp) -> Facts:
    """A pad of its own."""
    values = tuple(op.get("constant_values", ())) or (0,)
    shape = view.op(op.args["input"][0]).tensor.shape
    return {
        "mode": op.get("mode"),
        "rank": len(shape),
        "ic": shape[-1],
        "value_least": min(values),
        "value_most": max(values),
    }


def slice_facts(view: View, op: XOp) -> Facts:
    """A slice: its steps along the batch and along the channels."""
    rank = len(view.op(op.args["input"][0]).tensor.shape)
    steps = tuple(op.get("strides", ())) or (1,) * rank
    return {"stride_batch": steps[0], "stride_channel": steps[-1]}


def axis_facts(view: View, op: XOp, axis: int) -> Facts:
    """A reduction over one axis."""
    shape = view.op(op.args["input"][0]).tensor.shape
    return {"axis": axis % len(shape), "rank": len(shape), "ic": shape[axis % len(shape)]}


def block_facts(view: View, op: XOp) -> Facts:
    """Moves between channels and space."""
    return {
        "ic": view.op(op.args["input"][0]).tensor.shape[-1],
        "scale": op.get("scale", op.get("stride", 1)),
        "reverse": bool(op.get("reverse", False)),
    }


def paddings(op: XOp) -> Pads:
    """Pads of a `pad` operator by axis of its input."""
    listed = op.get("paddings", ())
    return tuple(zip(listed[0::2], listed[1::2], strict=True))


def _window(op: XOp, rank: int, sizes: Sequence[int], pads: Pads) -> Facts:
    kernel, stride, dilation = _sizes(op, rank, sizes)
    facts: Facts = {"whole": tuple(kernel) == tuple(sizes)}
    for index, axis in enumerate(_AXES[:rank]):
        facts |= {
            f"kernel_{axis}": kernel[index],
            f"stride_{axis}": stride[index],
            f"dilation_{axis}": dilation[index],
        }
        facts |= dict(zip(_PADS[index], pads[index], strict=True))
    return facts


def _sizes(op: XOp, rank: int, sizes: Sequence[int]) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Kernel, stride and dilation; a global pool covers everything."""
    ones = (1,) * rank
    if op.get("global", False):
        return tuple(sizes), ones, ones
    return op.get("kernel", ones), op.get("stride", ones), op.get("dilation", ones)


def _pads(op: XOp, rank: int, sizes: Sequence[int], before: Pads) -> Pads:
    """Pads written out; the end one is what the last window needs."""
    kernel, stride, dilation = _sizes(op, rank, sizes)
    given = (0,) * 2 * rank if op.get("global", False) else op.get("pad", (0,) * 2 * rank)
    found = []
    for index, place in enumerate(_PLACES[rank]):
        begin = given[2 * index] + before[index][0]
        out = op.tensor.shape[place]
        covered = (out - 1) * stride[index] + (kernel[index] - 1) * dilation[index] + 1
        if op.get("pad_mode") == "SAME":
            begin += (
                max(covered - sizes[index] - sum(before[index]) - sum(given[2 * index : 2 * index + 2]), 0)
                // 2
            )
        found.append((begin, max(covered - sizes[index] - begin, 0)))
    return tuple(found)


def _transposed_pads(op: XOp, rank: int, sizes: Sequence[int]) -> Pads:
    """Pads of a transposed convolution: what is cut off the whole result on either side."""
    kernel, stride, dilation = _sizes(op, rank, sizes)
    given = op.get("pad", (0,) * 2 * rank)
    found = []
    for index, place in enumerate(_PLACES[rank]):
        whole = (sizes[index] - 1) * stride[index] + (kernel[index] - 1) * dilation[index] + 1
        over = whole - op.tensor.shape[place]
        begin = over // 2 if op.get("pad_mode") == "SAME" else given[2 * index]
        found.append((begin, over - begin))
    return tuple(found)


def _trimmed(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape without leading axes of size 1, which broadcasting adds by itself."""
    first = next((axis for axis, size in enumerate(shape) if size != 1), len(shape))
    return tuple(shape[first:])


def multiplications(view: View, op: XOp) -> int:
    """Multiplications with addition, those with padding included; 0 for all but convolutions and matrix products."""
    kind = op.kind.removesuffix("-fix")
    if "conv" in kind and op.args.get("weights"):
        image = view.op(op.args["input"][0]).tensor.shape
        weights = view.op(op.args["weights"][0]).tensor.shape
        where = image if "transposed" in kind else op.tensor.shape
        return _product(where[:-1]) * _product(weights)
    if kind in ("matmul", "inner-product"):
        left = view.op(op.args["input"][0]).tensor.shape
        inner = left[-2] if op.get("transpose_a", False) else left[-1]
        return _product(op.tensor.shape) * int(inner)
    return 0


def _product(sizes: Sequence[int]) -> int:
    result = 1
    for size in sizes:
        result *= int(size)
    return result

"""Convolutions of 1 to 3 dimensions, grouped, depthwise and transposed.

    y[n, m, o] = b[m] + sum over c, k of x[n, c, o * stride + k * dilation - begin] * w[m, c, k]

The transposed form scatters instead: y[o * stride + k * dilation - begin] += x[o] * w[k] (ONNX ConvTranspose;
the XIR reference correlates, so its stored weights are these, flipped in space).

Float: exact products summed in float64, rounded once to the dtype of x. Integer: exact accumulators on the
scale of input times weights; the bias is aligned to it (shift_bias) without rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from quantforge.graph import Array, Dim, Op, Shape, Value
from quantforge.ops.attributes import integer, ints, mismatch, optional, present, text
from quantforge.ops.dims import count, window_count
from quantforge.ops.integer import Float64Array, IntTensor, Tensors, align, exact_dtype
from quantforge.ops.layouts import (
    SPACE,
    from_channels_first,
    layout_of,
    order,
    shape_from_channels_first,
    shape_to_channels_first,
    to_channels_first,
)
from quantforge.ops.opspec import OpSpec, Traits, TypedShape

SAME_SCALE = (
    2.0**-20
)  # a bias scale this close to input times weight scale is that product, rounded to float32


@dataclass(frozen=True)
class Geometry:
    """Where windows lie: one entry per spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    group: int = 1
    output_padding: tuple[int, ...] = ()

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.kernel)


def infer(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """[N, M, *windows] in the op's layout."""
    x, weights = present(op, inputs), present(op, inputs, 1)
    if x.shape is None or weights.shape is None:
        return [(None, x.dtype)]
    rank = _rank(op)
    layout = layout_of(op, rank)
    if len(x.shape) != rank + 2 or len(weights.shape) != rank + 2:
        raise mismatch(op, f"input {x.shape} and weights {weights.shape}", f"{rank + 2} axes each")
    batch, channels, *space = shape_to_channels_first(x.shape, layout)
    axes = order(_weight_layout(op, rank), _canonical(op, rank))
    first, second, *kernel = (weights.shape[i] for i in axes)
    geometry = _geometry(op, kernel)
    per_group = first if _is_transposed(op) else second
    divided = _divided(channels, 1 if _is_transposed(op) else geometry.group)
    if isinstance(divided, int) and isinstance(per_group, int) and divided != per_group:
        raise mismatch(op, f"{channels} input channels in {geometry.group} groups", f"{per_group} per group")
    out_channels = _times(second, geometry.group) if _is_transposed(op) else first
    sizes = _out_sizes(op, space, geometry)
    return [(shape_from_channels_first((batch, out_channels, *sizes), layout), x.dtype)]


def compute(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """The float kernel."""
    x, weights = present(op, arrays), present(op, arrays, 1)
    layout = layout_of(op, _rank(op))
    wide = np.float64
    y = _run(op, to_channels_first(x, layout).astype(wide), _canonical_weights(op, weights).astype(wide))
    bias = optional(arrays, 2)
    if bias is not None:
        y += bias.astype(wide).reshape(-1, *[1] * _rank(op))
    return [from_channels_first(y.astype(x.dtype), layout)]


def compute_integer(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """The exact accumulator; None when weights or bias are not integers, or the scales do not fit."""
    x, weights, bias = tensors[0], tensors[1], optional(tensors, 2)
    if not isinstance(x, IntTensor) or not isinstance(weights, IntTensor):
        return None
    x, weights = x.centered(), weights.centered()
    layout = layout_of(op, _rank(op))
    data = _canonical_weights(op, weights.data)
    out_channels = data.shape[1] * integer(op, "group", 1) if _is_transposed(op) else data.shape[0]
    weight_scale = _channel_scale(op, weights, out_channels)
    terms = data[:, 0].size if _is_transposed(op) else data[0].size
    dtype = exact_dtype(terms, x, weights)
    if dtype is None or weight_scale is None or x.scale.size != 1 or x.divisor != 1:
        return None
    y = _run(op, to_channels_first(x.data, layout).astype(dtype), data.astype(dtype)).astype(np.int64)
    scale = x.scale * weight_scale
    result = IntTensor(y, scale, axis=1 if scale.size > 1 else None)
    summed = result if bias is None else add_bias(result, bias, 1)
    if summed is None:
        return None
    axis = layout.index("C") if summed.axis is not None else None
    return [replace(summed, data=from_channels_first(summed.data, layout), axis=axis)]


def add_bias(accumulator: IntTensor, bias: IntTensor | Array, axis: int) -> IntTensor | None:
    """Add one integer per slice along `axis`.

    Powers of two are aligned by exact shifts. A bias whose scale is the accumulator's up to float32 rounding
    is an integer of the accumulator, which is how ConvInteger and the int32 bias of ONNX mean it.
    """
    if not isinstance(bias, IntTensor):
        return None
    bias = bias.centered()
    shape = [-1 if d == axis else 1 for d in range(accumulator.data.ndim)]
    spread = IntTensor(bias.data.reshape(shape), bias.scale, axis=axis if bias.scale.size > 1 else None)
    aligned = align([accumulator, spread])
    if aligned is None:
        if not np.allclose(bias.scale, accumulator.scale, rtol=SAME_SCALE, atol=0.0):
            return None
        return accumulator.with_data(accumulator.data + spread.data)
    return aligned[0].with_data(aligned[0].data + aligned[1].data)


def macs(op: Op, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]) -> int:
    """Weights times the positions they visit (of the input when transposed)."""
    x, weights, y = present(op, inputs), present(op, inputs, 1), present(op, outputs)
    layout = layout_of(op, _rank(op))
    batch, _, *space = shape_to_channels_first(x if _is_transposed(op) else y, layout)
    return count(weights) * count([batch, *space])


def _run(op: Op, x: Array, weights: Array) -> Array:
    """Channels-first convolution in the dtype of `x`, image by image."""
    geometry = _geometry(op, weights.shape[2:])
    one = _scatter if _is_transposed(op) else _correlate
    first, second = weights.shape[:2]
    channels = first if _is_transposed(op) else second * geometry.group
    if x.shape[1] != channels or first % geometry.group:
        found = f"input {x.shape}, weights {weights.shape} (channels first) in {geometry.group} groups"
        raise mismatch(op, found, f"{channels} input channels")
    out_channels = second * geometry.group if _is_transposed(op) else first
    sizes = [size for size in _out_sizes(op, x.shape[2:], geometry) if isinstance(size, int)]
    if min(sizes) < 1:
        raise mismatch(op, f"an input of {x.shape[2:]} positions", "at least one whole window")
    out = np.empty((x.shape[0], out_channels, *sizes), x.dtype)
    for index, image in enumerate(x):
        out[index] = one(image, weights, geometry).reshape(out.shape[1:])
    return out


def _correlate(image: Array, weights: Array, geometry: Geometry) -> Array:
    pads = [(0, 0), *zip(geometry.begin, geometry.end, strict=True)]
    view = windows(np.pad(image, pads), geometry)  # [C, *out, *kernel]
    rank = geometry.rank
    axes = (0, *range(1 + rank, 1 + 2 * rank), *range(1, 1 + rank))
    positions = int(np.prod(view.shape[1 : 1 + rank]))
    columns = view.transpose(axes).reshape(geometry.group, -1, positions)
    return weights.reshape(geometry.group, weights.shape[0] // geometry.group, -1) @ columns


def _scatter(image: Array, weights: Array, geometry: Geometry) -> Array:
    space, per_group = image.shape[1:], weights.shape[1]
    left = weights.reshape(geometry.group, weights.shape[0] // geometry.group, -1).swapaxes(1, 2)
    spread = left @ image.reshape(geometry.group, left.shape[2], -1)
    spread = spread.reshape(geometry.group * per_group, *geometry.kernel, *space)
    reach = [
        (n - 1) * s + (k - 1) * d + 1 + extra
        for n, k, s, d, extra in zip(
            space, geometry.kernel, geometry.stride, geometry.dilation, geometry.output_padding, strict=True
        )
    ]
    full = np.zeros((spread.shape[0], *reach), image.dtype)
    for offset in np.ndindex(*geometry.kernel):
        where = tuple(
            slice(o * d, o * d + (n - 1) * s + 1, s)
            for o, d, n, s in zip(offset, geometry.dilation, space, geometry.stride, strict=True)
        )
        full[(slice(None), *where)] += spread[(slice(None), *offset)]
    ends = zip(geometry.begin, reach, geometry.end, strict=True)
    return full[(slice(None), *(slice(b, n - e) for b, n, e in ends))]


def windows(x: Array, geometry: Geometry) -> Array:
    """A view [C, *out, *kernel] of a padded image [C, *space]."""
    rank = geometry.rank
    reach = tuple((k - 1) * d + 1 for k, d in zip(geometry.kernel, geometry.dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(range(1, 1 + rank)))
    steps = (*geometry.stride, *geometry.dilation)
    return view[(slice(None), *(slice(None, None, step) for step in steps))]


def _geometry(op: Op, kernel: Sequence[Dim]) -> Geometry:
    rank = len(kernel)
    sizes = tuple(size for size in kernel if isinstance(size, int))
    if len(sizes) != rank:
        sizes = ints(op, "kernel")
    pads = ints(op, "pads", (0,) * 2 * rank)
    stride, dilation = ints(op, "stride", (1,) * rank), ints(op, "dilation", (1,) * rank)
    extra = ints(op, "output_padding", (0,) * rank)
    if not len(sizes) == len(stride) == len(dilation) == len(extra) == len(pads) // 2 == rank:
        raise mismatch(
            op, "attributes of different lengths", f"{rank} strides and dilations, {2 * rank} pads"
        )
    return Geometry(sizes, stride, dilation, pads[:rank], pads[rank:], integer(op, "group", 1), extra)


def _out_sizes(op: Op, space: Sequence[Dim], geometry: Geometry) -> list[Dim]:
    sizes: list[Dim] = []
    for axis, size in enumerate(space):
        kernel, stride, dilation = geometry.kernel[axis], geometry.stride[axis], geometry.dilation[axis]
        pads = (geometry.begin[axis], geometry.end[axis])
        if not _is_transposed(op):
            sizes.append(window_count(size, kernel, stride, dilation, pads))
        elif isinstance(size, int):
            reach = (size - 1) * stride + dilation * (kernel - 1) + 1
            sizes.append(reach - sum(pads) + geometry.output_padding[axis])
        else:
            sizes.append(None)
    return sizes


def _channel_scale(op: Op, weights: IntTensor, out_channels: int) -> Float64Array | None:
    """The scale of the weights, one or one per output channel; None when it varies along another axis."""
    if weights.axis is None or weights.scale.size == 1:
        return weights.scale.reshape(())
    letter = _weight_layout(op, _rank(op))[weights.axis]
    group = integer(op, "group", 1)
    if not _is_transposed(op):
        return weights.scale if letter == "O" else None
    if letter == "O":
        return np.tile(weights.scale, group)
    return np.repeat(weights.scale, out_channels // group) if weights.scale.size == group else None


def _canonical_weights(op: Op, weights: Array) -> Array:
    rank = _rank(op)
    return weights.transpose(order(_weight_layout(op, rank), _canonical(op, rank)))


def _canonical(op: Op, rank: int) -> str:
    return ("IO" if _is_transposed(op) else "OI") + SPACE[rank]


def _weight_layout(op: Op, rank: int) -> str:
    return text(op, "weight_layout", _canonical(op, rank))


def _is_transposed(op: Op) -> bool:
    return op.kind.startswith("transposed")


def _rank(op: Op) -> int:
    return int(op.kind[-2])


def _divided(size: Dim, group: int) -> Dim:
    return size // group if isinstance(size, int) else None


def _times(size: Dim, group: int) -> Dim:
    return size * group if isinstance(size, int) else None


# In a depthwise convolution every output channel reads one input channel: both are counted by one axis.
_WEIGHT_AXES = {
    "": ("O", "I"),
    "depthwise-": ("O", "O"),
    "transposed-": ("O", "I"),
    "transposed-depthwise-": ("I", "I"),
}

SPECS = tuple(
    OpSpec(f"{prefix}conv{rank}d", Traits("weighted", axes), infer, compute, compute_integer, macs)
    for prefix, axes in _WEIGHT_AXES.items()
    for rank in (1, 2, 3)
)

"""Max and average pooling of 1 to 3 dimensions, and their global forms.

Average: sum / count, where count leaves padding out unless `count_include_pad` (ONNX). With the attribute
`dpu_factor` = (N, M) it is the DPU's: sum * N / 2**M with padding counted as zeros, in float and in integers.
Max: padding never wins.

Float: sums in float64, rounded once. Integer: exact sums with the least common multiple of the counts as
divisor, or times N on a scale 2**M finer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Array, Dim, Op, Value
from quantforge.ops.attributes import flag, ints, mismatch, present
from quantforge.ops.convolution import Geometry, windows
from quantforge.ops.dims import window_count
from quantforge.ops.integer import SAFE, IntTensor, Tensors
from quantforge.ops.layouts import (
    from_channels_first,
    layout_of,
    shape_from_channels_first,
    shape_to_channels_first,
    to_channels_first,
)
from quantforge.ops.opspec import OpSpec, Traits, TypedShape


def infer(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """[N, C, *windows] in the op's layout."""
    x = present(op, inputs)
    if x.shape is None:
        return [(None, x.dtype)]
    layout = layout_of(op, _rank(op))
    if len(x.shape) != _rank(op) + 2:
        raise mismatch(op, f"an input of shape {x.shape}", f"{_rank(op) + 2} axes")
    batch, channels, *space = shape_to_channels_first(x.shape, layout)
    sizes: list[Dim] = [1] * len(space)
    if not flag(op, "global"):
        kernel, stride, dilation, begin, end = _attributes(op)
        sizes = [
            window_count(n, k, s, d, pads, flag(op, "ceil_mode"))
            for n, k, s, d, *pads in zip(space, kernel, stride, dilation, begin, end, strict=True)
        ]
    return [(shape_from_channels_first((batch, channels, *sizes), layout), x.dtype)]


def compute_max(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Largest element of each window."""
    x = present(op, arrays)
    lowest = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -np.inf
    return [_pool(op, x, lowest, np.max)]


def compute_average(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Mean of each window."""
    x = present(op, arrays)
    total = _pool(op, x.astype(np.float64), 0.0, np.sum)
    factor = dpu_factor(op)
    if factor is not None:
        return [np.ldexp(total * factor[0], -factor[1]).astype(x.dtype)]
    return [(total / _counts(op, x)).astype(x.dtype)]


def integer_max(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """As in float, on the integers."""
    x = tensors[0]
    if not isinstance(x, IntTensor) or x.axis is not None:
        return None
    return [x.with_data(_pool(op, x.data, np.iinfo(np.int64).min, np.max))]


def integer_average(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """Sums on the common divisor, or the DPU's factor."""
    x = tensors[0]
    if not isinstance(x, IntTensor) or x.axis is not None:
        return None
    x = x.centered()
    counts = _counts(op, x.data)
    if x.magnitude * int(counts.max()) >= SAFE:
        return None
    total = _pool(op, x.data, 0, np.sum)
    return scaled_mean(x, total, counts, dpu_factor(op))


def scaled_mean(
    x: IntTensor, total: NDArray[np.int64], counts: NDArray[np.int64], factor: tuple[int, int] | None
) -> list[IntTensor] | None:
    """total / counts as one integer tensor; with `factor` (N, M) total * N / 2**M."""
    result = x.with_data(total)
    if factor is not None:
        if result.magnitude * factor[0] >= SAFE:
            return None
        return [replace(result, data=total * factor[0], scale=np.ldexp(x.scale, -factor[1]))]
    common = math.lcm(*(int(n) for n in np.unique(counts)))
    if result.magnitude * common >= SAFE or x.divisor * common >= SAFE:
        return None
    return [replace(result, data=total * (common // counts), divisor=x.divisor * common)]


def dpu_factor(op: Op) -> tuple[int, int] | None:
    """(N, M) of the op's attribute, or None."""
    if "dpu_factor" not in op.attrs:
        return None
    numerator, shift = ints(op, "dpu_factor")
    return numerator, shift


def _pool(op: Op, x: Array, fill: float, reduce: Callable[..., Array]) -> Array:
    layout = layout_of(op, _rank(op))
    image = to_channels_first(x, layout)
    geometry = _geometry(op, image.shape[2:])
    pads = [(0, 0), *zip(geometry.begin, geometry.end, strict=True)]
    space = tuple(range(-geometry.rank, 0))
    pooled = [reduce(windows(np.pad(one, pads, constant_values=fill), geometry), axis=space) for one in image]
    return from_channels_first(np.stack(pooled).astype(x.dtype), layout)


def _counts(op: Op, x: Array) -> NDArray[np.int64]:
    """How many elements each window averages, broadcastable to the output."""
    layout = layout_of(op, _rank(op))
    space = to_channels_first(x, layout).shape[2:]
    geometry = _geometry(op, space)
    ones = np.ones((1, *space), np.int64)
    pads = [(0, 0), *zip(geometry.begin, geometry.end, strict=True)]
    if flag(op, "count_include_pad") and not flag(op, "global"):
        rank = _rank(op)
        declared = ints(op, "pads", (0,) * 2 * rank)
        inside = [(0, 0), *zip(declared[:rank], declared[rank:], strict=True)]
        ones = np.pad(ones, inside, constant_values=1)
        beyond = [(0, total[1] - own[1]) for total, own in zip(pads, inside, strict=True)]
        pads = [(0, max(0, extra[1])) for extra in beyond]
    counts = windows(np.pad(ones, pads), geometry).sum(axis=tuple(range(-geometry.rank, 0)))
    return from_channels_first(counts[np.newaxis], layout)


def _geometry(op: Op, space: Sequence[int]) -> Geometry:
    """Windows over `space`; with ceil_mode the end padding grows so that the last partial window fits."""
    rank = len(space)
    if flag(op, "global"):
        return Geometry(tuple(space), (1,) * rank, (1,) * rank, (0,) * rank, (0,) * rank)
    kernel, stride, dilation, begin, end = _attributes(op)
    ends = []
    for axis, size in enumerate(space):
        k, s, d = kernel[axis], stride[axis], dilation[axis]
        count = window_count(size, k, s, d, (begin[axis], end[axis]), flag(op, "ceil_mode"))
        if not isinstance(count, int) or count < 1:
            raise mismatch(op, f"an input of {tuple(space)} positions", "at least one whole window")
        needed = (count - 1) * s + (k - 1) * d + 1 - size - begin[axis]
        ends.append(max(end[axis], needed))
    return Geometry(kernel, stride, dilation, begin, tuple(ends))


def _attributes(op: Op) -> tuple[tuple[int, ...], ...]:
    rank = _rank(op)
    kernel, pads = ints(op, "kernel"), ints(op, "pads", (0,) * 2 * rank)
    stride, dilation = ints(op, "stride", (1,) * rank), ints(op, "dilation", (1,) * rank)
    if not len(kernel) == len(stride) == len(dilation) == len(pads) // 2 == rank:
        raise mismatch(
            op, "attributes of different lengths", f"{rank} strides and dilations, {2 * rank} pads"
        )
    return kernel, stride, dilation, pads[:rank], pads[rank:]


def _rank(op: Op) -> int:
    return int(op.kind[-2])


SPECS = tuple(
    OpSpec(f"{name}pool{rank}d", Traits("pool"), infer, compute, exact)
    for name, compute, exact in (("max", compute_max, integer_max), ("avg", compute_average, integer_average))
    for rank in (1, 2, 3)
)

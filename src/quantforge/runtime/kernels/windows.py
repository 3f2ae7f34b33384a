"""Convolutions and pools over windows, on integers.

    acc[n, o, m] = sum over k, c of x[n, o * stride + k * dilation - begin, c] * w[m, k, c] + bias[m] * 2**shift_bias
    y = saturate(round(activation(acc) / 2**shift_cut)),   shift_cut = fi + fw - fo,   shift_bias = fi + fw - fb

With a negative shift_bias the accumulator is scaled up instead, so nothing is lost. Weights are OHWI, depthwise
ones [multiplier, H, W, C] with output channel c * multiplier + q. The transposed forms stuff stride - 1 zeros
between the pixels and correlate with the stored weights. Source: the operator definitions of XIR, UG1414.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import product

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.numerics.law import Dyadic, average_pool_factor
from quantforge.numerics.rounding import round_ratio
from quantforge.runtime.fixed import Array, Int64Array, fixed_of
from quantforge.runtime.geometry import Windows, check_shape, windows_of
from quantforge.runtime.kernels.finish import finish, scale_up
from quantforge.xmodel.model import XOp

Arrays = dict[str, list[Array]]
EXACT_FLOAT64 = 1 << 53


def convolve(op: XOp, arrays: Arrays, read: Callable[[str], XOp]) -> Int64Array:
    """Any convolution of 1 to 3 dimensions, by its kind."""
    x, weights = arrays["input"][0].astype(np.int64), arrays["weights"][0].astype(np.int64)
    windows = windows_of(op, x.shape[1:-1])
    if "transposed" in op.kind:
        x = stuff_zeros(x, windows.stride)
        windows = windows.stuffed()
    if "depthwise" in op.kind:
        acc = depthwise_sums(op, x, weights, windows)
    else:
        acc = grouped_sums(op, x, weights, windows)
    check_shape(op, (op.tensor.shape[0], *acc.shape[1:]))
    position = sum(fixed_of(read(op.args[name][0])).position for name in ("input", "weights"))
    if "bias" in arrays:
        bias_position = fixed_of(read(op.args["bias"][0])).position
        acc, position = add_bias(op, acc, position, arrays["bias"][0].astype(np.int64), bias_position)
    return finish(op, acc, position)


def add_bias(
    op: XOp, acc: Int64Array, position: int, bias: Int64Array, bias_position: int
) -> tuple[Int64Array, int]:
    """Accumulator plus bias, on the finer of the two positions."""
    if bias.shape != acc.shape[-1:]:
        raise _mismatch(op, f"{bias.size} biases", f"{acc.shape[-1]}, one per output channel")
    finest = max(position, bias_position)
    aligned = scale_up(op, acc, finest - position), scale_up(op, bias, finest - bias_position)
    return aligned[0] + aligned[1], finest


def grouped_sums(op: XOp, x: Array, weights: Array, windows: Windows) -> Array:
    """Accumulators of a convolution in `group` groups."""
    group, per_group = int(op.get("group", 1)), weights.shape[-1]
    if x.shape[-1] != group * per_group or weights.shape[0] % group or weights.shape[1:-1] != windows.kernel:
        found = f"weights {list(weights.shape)} in {group} groups for an input of {x.shape[-1]} channels"
        raise _mismatch(op, found, f"kernel {windows.kernel} and the input's channels")
    outputs = weights.shape[0] // group
    taps = weights.reshape(weights.shape[0], -1, per_group)
    parts = []
    for g in range(group):
        own = taps[g * outputs : (g + 1) * outputs]
        inputs = x[..., g * per_group : (g + 1) * per_group]
        products = (exact_product(patch, own[:, k].T) for k, patch in enumerate(patches(inputs, windows, 0)))
        parts.append(reduce(np.add, products))
    return np.concatenate(parts, axis=-1)


def depthwise_sums(op: XOp, x: Array, weights: Array, windows: Windows) -> Array:
    """Accumulators of a depthwise convolution; the multiplier is the fastest part of the channel."""
    if weights.shape[-1] != x.shape[-1] or weights.shape[1:-1] != windows.kernel:
        found = f"weights {list(weights.shape)} for an input of {x.shape[-1]} channels"
        raise _mismatch(op, found, f"kernel {windows.kernel} and the input's channels")
    taps = weights.reshape(weights.shape[0], -1, weights.shape[-1])
    products = (patch[..., np.newaxis] * taps[:, k].T for k, patch in enumerate(patches(x, windows, 0)))
    total = reduce(np.add, products)
    return np.asarray(total.reshape(*total.shape[:-2], -1))


def stuff_zeros(x: Array, stride: Sequence[int]) -> Array:
    """stride - 1 zeros between neighbours on every spatial axis."""
    sizes = [(n - 1) * s + 1 for n, s in zip(x.shape[1:-1], stride, strict=True)]
    stuffed = np.zeros((x.shape[0], *sizes, x.shape[-1]), x.dtype)
    stuffed[(slice(None), *(slice(None, None, s) for s in stride))] = x
    return stuffed


def exact_product(a: Array, b: Array) -> Array:
    """Matrix product; integers through float64 where no sum can leave its 53 bits, which is faster."""
    if a.dtype.kind == "f":
        return np.asarray(a @ b)
    bound = int(np.abs(a).max(initial=0)) * int(np.abs(b).max(initial=0)) * b.shape[0]
    if bound < EXACT_FLOAT64:
        return np.asarray(a.astype(np.float64) @ b.astype(np.float64), np.int64)
    return np.asarray(a @ b)


def patches(x: Array, windows: Windows, fill: float) -> Iterator[Array]:
    """For every position in the kernel, row by row, the pixels it meets: an array over the outputs."""
    counts = windows.counts(x.shape[1:-1])
    sides = list(zip(windows.begin, windows.end, strict=True))
    crop = [slice(max(0, -b), n - max(0, -e)) for n, (b, e) in zip(x.shape[1:-1], sides, strict=True)]
    pads = [(0, 0), *((max(0, b), max(0, e)) for b, e in sides), (0, 0)]
    padded = np.pad(x[(slice(None), *crop)], pads, constant_values=fill)
    for at in product(*(range(k) for k in windows.kernel)):
        starts = [k * d for k, d in zip(at, windows.dilation, strict=True)]
        taken = [
            slice(start, start + (count - 1) * step + 1, step)
            for start, count, step in zip(starts, counts, windows.stride, strict=True)
        ]
        yield padded[(slice(None), *taken)]


def pool(op: XOp, arrays: Arrays, read: Callable[[str], XOp]) -> Int64Array:
    """pool-fix: MAX ignores padding; AVG multiplies the sum by the DPU's factor, padding counting as zeros.

    With the attribute `avg_exact` the sum is divided by the count instead (`count_include_pad` says whether
    padding counts), as ONNX defines it.
    """
    x = arrays["input"][0].astype(np.int64)
    source, target = fixed_of(read(op.args["input"][0])), fixed_of(op)
    windows = windows_of(op, x.shape[1:-1])
    check_shape(op, (op.tensor.shape[0], *windows.counts(x.shape[1:-1]), x.shape[-1]))
    kind = op.get("type")
    if kind == "MAX":
        stacked = np.stack(list(patches(x, windows, source.low)))
        return target.requantize(stacked.max(axis=0), source.position)
    if kind != "AVG":
        raise _mismatch(op, f"type {kind!r}", "MAX or AVG")
    total = reduce(np.add, patches(x, windows, 0))
    if op.get("avg_exact", False):
        counts = window_counts(op, x.shape[1:-1], windows)
        shift = source.position - target.position
        up, down = scale_up(op, total, max(0, -shift)), counts << max(0, shift)
        return target.saturate(round_ratio(up, down, target.rounding))
    factor = average_pool_factor(windows.kernel)
    return target.requantize(total * factor.numerator, source.position + factor.shift)


def window_counts(op: XOp, space: Sequence[int], windows: Windows) -> Int64Array:
    """What an exact average divides by: [1, *outputs, 1]."""
    fill = 1 if op.get("count_include_pad", True) else 0
    ones = np.ones((1, *space, 1), np.int64)
    return np.maximum(reduce(np.add, patches(ones, windows, fill)), 1)


def exact_factor(counts: Int64Array) -> Dyadic | None:
    """1 / count as a shift when it is the same power of two everywhere.

    >>> exact_factor(np.array([4, 4]))
    Dyadic(numerator=1, shift=2)
    """
    first = int(counts.flat[0])
    if first & (first - 1) or (counts != first).any():
        return None
    return Dyadic(1, first.bit_length() - 1)


def _mismatch(op: XOp, found: str, expected: str) -> InputError:
    return InputError("Q1203", op.name, f"{op.kind} with {found}", expected, "compile the model again")

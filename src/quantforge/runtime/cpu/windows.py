"""Float convolutions, pools and resizing: sums in float64, rounded once to float32.

Averages divide by the count of the window, padding included when `count_include_pad` says so; `dpu_factor` (N, M)
multiplies the sum by N / 2**M instead, as a DPU does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.runtime.fixed import Array
from quantforge.runtime.geometry import windows_of
from quantforge.runtime.kernels.sampling import Taps, coordinates, linear, nearest
from quantforge.runtime.kernels.windows import (
    depthwise_sums,
    grouped_sums,
    patches,
    stuff_zeros,
    window_counts,
)
from quantforge.xmodel.model import XOp

Arrays = dict[str, list[Array]]
Kernel = Callable[[XOp, Arrays], Array]


def convolve(op: XOp, arrays: Arrays) -> Array:
    """Any convolution; grouped, depthwise and transposed by its kind."""
    x, weights = arrays["input"][0].astype(np.float64), arrays["weights"][0].astype(np.float64)
    windows = windows_of(op, x.shape[1:-1])
    if "transposed" in op.kind:
        x, windows = stuff_zeros(x, windows.stride), windows.stuffed()
    total = (depthwise_sums if "depthwise" in op.kind else grouped_sums)(op, x, weights, windows)
    if "bias" in arrays:
        total = total + arrays["bias"][0]
    return total.astype(np.float32)


def max_pool(op: XOp, arrays: Arrays) -> Array:
    """The largest element; padding never wins."""
    x = arrays["input"][0]
    windows = windows_of(op, x.shape[1:-1])
    return reduce(np.maximum, patches(x, windows, -np.inf))


def average_pool(op: XOp, arrays: Arrays) -> Array:
    """The mean."""
    x = arrays["input"][0]
    windows = windows_of(op, x.shape[1:-1])
    total = reduce(np.add, patches(x.astype(np.float64), windows, 0))
    factor = op.get("dpu_factor")
    if factor is not None:
        return np.asarray(np.ldexp(total * factor[0], -factor[1]), np.float32)
    return (total / window_counts(op, x.shape[1:-1], windows)).astype(np.float32)


def resize(op: XOp, arrays: Arrays) -> Array:
    """To the sizes of the output tensor: NEAREST, BILINEAR or TRILINEAR over the axes between first and last."""
    x, mode = arrays["input"][0], str(op.get("mode", "NEAREST")).upper()
    if mode not in ("NEAREST", "BILINEAR", "TRILINEAR"):
        raise InputError(
            "Q1203", op.name, f"mode {mode!r}", "NEAREST, BILINEAR or TRILINEAR", "compile again"
        )
    for axis in range(1, x.ndim - 1):
        size, out = x.shape[axis], op.tensor.shape[axis]
        sources = coordinates(op, size, out)
        if mode == "NEAREST":
            x = x.take(nearest(sources, size, bool(op.get("align_corners", False))).low, axis)
        else:
            x = _blend(x.astype(np.float64), linear(sources, size), axis)
    return x.astype(np.float32, copy=False)


def _blend(x: Array, taps: Taps, axis: int) -> Array:
    shape = [-1 if d == axis else 1 for d in range(x.ndim)]
    low, high = (
        np.asarray(w, np.float64).reshape(shape) / taps.divisor for w in (taps.weight_low, taps.weight_high)
    )
    return np.asarray(x.take(taps.low, axis) * low + x.take(taps.high, axis) * high)


KERNELS: dict[str, Kernel] = {
    **{
        f"{prefix}conv{rank}d": convolve
        for prefix in ("", "depthwise-", "transposed-", "transposed-depthwise-")
        for rank in (1, 2, 3)
    },
    **{f"maxpool{rank}d": max_pool for rank in (1, 2, 3)},
    **{f"avgpool{rank}d": average_pool for rank in (1, 2, 3)},
    "resize": resize,
}

"""One pass over memory per tensor for the quantizer of training, forward and backward, on the processor.

PyTorch's own operators make the same numbers in half a dozen passes each (`tqt`); a step of training spends more time
on them than on its convolutions. Loops read and write elements in the order they lie in memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quantforge.numerics.compiled import compiled

Floats = NDArray[np.float32]


@compiled("float32[1] const", "float32", "int64", "int64", "int64", "float32[1]")
def quantize_half_up(x: Floats, scale: float, low: int, high: int, relu: int, out: Floats) -> None:
    """out = clamp(round(x / scale), low, high) * scale, ties toward +inf; with `relu`, of max(x, 0)."""
    inverse = np.float32(1.0) / np.float32(scale)
    step, lowest, highest = np.float32(scale), np.float32(low), np.float32(high)
    lowest = np.float32(0.0) if relu else lowest
    two, half, zero = np.float32(2.0), np.float32(0.5), np.float32(0.0)
    for i in range(x.size):
        t = x[i] * inverse
        t = lowest if t < lowest else t
        t = highest if t > highest else t
        out[i] = np.ceil(np.floor(t * two) * half) * step + zero


@compiled("float32[1] const", "float32", "int64", "int64", "float32[1]")
def quantize_half_away(x: Floats, scale: float, low: int, high: int, out: Floats) -> None:
    """out = clamp(round(x / scale), low, high) * scale, ties away from zero."""
    inverse = np.float32(1.0) / np.float32(scale)
    step, lowest, highest = np.float32(scale), np.float32(low), np.float32(high)
    two, half, zero = np.float32(2.0), np.float32(0.5), np.float32(0.0)
    for i in range(x.size):
        t = x[i] * inverse
        t = lowest if t < lowest else t
        t = highest if t > highest else t
        settled = np.ceil(np.floor(abs(t) * two) * half)
        out[i] = (-settled if t < zero else settled) * step + zero


# Terms are float32; their sum may be taken in any order, which lets sixteen be added at a time.
@compiled(
    "float32[1] const", "float32[1] const", "float32[1] const", "float32", "int64", "int64", "int64", "int64",
    "float32[1]", "float64[1]", reorder_sums=True,
)  # fmt: skip
def differentiate(
    gradient: Floats,
    x: Floats,
    out: Floats,
    scale: float,
    low: int,
    high: int,
    relu: int,
    away: int,
    into: Floats,
    total: NDArray[np.float64],
) -> None:
    """`into` = gradient where x was inside the range, else 0; total[0] += sum gradient * (out - x * inside).

    Inside means that x, rounded (ties toward +inf, with `away` away from zero), needed no clamping. With `relu`
    elements that are not positive count for nothing.
    """
    half_step = np.float32(scale) * np.float32(0.5)
    top, bottom = np.float32(high) * np.float32(scale), np.float32(low) * np.float32(scale)
    zero = np.float32(0.0)
    floor = zero if relu else bottom - half_step
    found = 0.0
    for i in range(x.size):
        g, value = gradient[i], x[i]
        alive = value > floor if relu or away else value >= floor  # the tie below the range
        inside = alive and value < top + half_step
        into[i] = g if inside else zero
        error = out[i] - (value if inside else zero)
        found += np.float64(g * error)
    total[0] += found

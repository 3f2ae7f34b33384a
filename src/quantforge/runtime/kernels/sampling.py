"""upsample-fix and downsample-fix: nearest neighbour and bilinear, as exact ratios of integers.

    step = (in - 1) / (out - 1) with align_corners and out > 1, else in / out
    source = (o + 1/2) step - 1/2 with half_pixel_centers, else o * step

Nearest takes floor(source), with align_corners the nearest (ties up); bilinear weighs the two neighbours, held
at the edges. Coordinates are fractions, so a tie is a tie and nothing depends on a processor's floats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import floor, lcm

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.numerics.rounding import round_ratio
from quantforge.runtime.fixed import Array, Int64Array, fixed_of
from quantforge.runtime.kernels.finish import scale_up
from quantforge.xmodel.model import XOp

Arrays = dict[str, list[Array]]


@dataclass(frozen=True)
class Taps:
    """One axis: out[o] = (x[low[o]] * weight_low[o] + x[high[o]] * weight_high[o]) / divisor."""

    low: tuple[int, ...]
    high: tuple[int, ...]
    weight_low: tuple[int, ...]
    weight_high: tuple[int, ...]
    divisor: int


def resample(op: XOp, arrays: Arrays, read: Callable[[str], XOp]) -> Int64Array:
    """Resize height and width to the sizes of the output tensor."""
    x = arrays["input"][0].astype(np.int64)
    source, target = fixed_of(read(op.args["input"][0])), fixed_of(op)
    mode, rows, columns = resampling(op, x.shape)
    if mode == "NEAREST":
        return target.requantize(x[:, rows.low][:, :, columns.low], source.position)
    total = _blend(_blend(x, rows, 1), columns, 2)
    shift = source.position - target.position
    divisor = (rows.divisor * columns.divisor) << max(0, shift)
    return target.saturate(round_ratio(scale_up(op, total, max(0, -shift)), divisor, target.rounding))


def resampling(op: XOp, shape: tuple[int, ...]) -> tuple[str, Taps, Taps]:
    """Mode, and what each output row and column is made of.

    Raises:
        InputError: Q1203 for another mode or rank.
    """
    mode = "NEAREST" if op.kind == "downsample-fix" else str(op.get("mode", "NEAREST")).upper()
    if mode not in ("NEAREST", "BILINEAR") or len(shape) != 4:
        found = f"{op.kind} with mode {mode!r} on {len(shape)} axes"
        raise InputError("Q1203", op.name, found, "NEAREST or BILINEAR on [N, H, W, C]", "compile again")
    sources = [coordinates(op, shape[axis], op.tensor.shape[axis]) for axis in (1, 2)]
    if mode == "NEAREST":
        align = bool(op.get("align_corners", False))
        rows, columns = (nearest(s, shape[axis], align) for axis, s in zip((1, 2), sources, strict=True))
    else:
        rows, columns = (linear(s, shape[axis]) for axis, s in zip((1, 2), sources, strict=True))
    return mode, rows, columns


def coordinates(op: XOp, size: int, out: int) -> list[Fraction]:
    """Where each output lies among the inputs."""
    if op.get("align_corners", False) and out > 1:
        step = Fraction(size - 1, out - 1)
    else:
        step = Fraction(size, out)
    if op.get("half_pixel_centers", False):
        return [(o + Fraction(1, 2)) * step - Fraction(1, 2) for o in range(out)]
    return [o * step for o in range(out)]


def nearest(sources: list[Fraction], size: int, align: bool) -> Taps:
    """One neighbour, whole."""
    shift = Fraction(1, 2) if align else Fraction(0)
    index = tuple(min(max(floor(s + shift), 0), size - 1) for s in sources)
    return Taps(index, index, (1,) * len(index), (0,) * len(index), 1)


def linear(sources: list[Fraction], size: int) -> Taps:
    """Two neighbours by distance.

    >>> linear([Fraction(-1, 4), Fraction(1, 4)], 2)
    Taps(low=(0, 0), high=(1, 1), weight_low=(4, 3), weight_high=(0, 1), divisor=4)
    """
    held = [min(max(s, Fraction(0)), Fraction(size - 1)) for s in sources]
    divisor = lcm(*(s.denominator for s in (*held, Fraction(1, 4))))
    low = tuple(floor(s) for s in held)
    upper = tuple(int((s - at) * divisor) for s, at in zip(held, low, strict=True))
    high = tuple(min(at + 1, size - 1) for at in low)
    return Taps(low, high, tuple(divisor - u for u in upper), upper, divisor)


def _blend(x: Int64Array, taps: Taps, axis: int) -> Int64Array:
    shape = [-1 if d == axis else 1 for d in range(x.ndim)]
    low, high = (np.asarray(w, np.int64).reshape(shape) for w in (taps.weight_low, taps.weight_high))
    return np.asarray(x.take(taps.low, axis) * low + x.take(taps.high, axis) * high)

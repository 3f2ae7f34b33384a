"""Padding: constant, reflect (without the edge), symmetric (with it) or edge.

Integer: the constant must be a whole number of steps (0 always is); the other modes copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from quantforge.graph import Array, Op, Value
from quantforge.ops.attributes import ints, mismatch, number, present, text
from quantforge.ops.integer import IntTensor, Tensors
from quantforge.ops.opspec import OpSpec, Traits, TypedShape

MODES = ("constant", "reflect", "edge", "symmetric", "wrap")


def infer(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """Sizes plus pads."""
    x = present(op, inputs)
    if x.shape is None:
        return [(None, x.dtype)]
    pads = _pads(op, len(x.shape))
    dims = zip(x.shape, pads, strict=True)
    return [
        (tuple(d if sum(p) == 0 else d + sum(p) if isinstance(d, int) else None for d, p in dims), x.dtype)
    ]


def compute(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Negative pads crop."""
    return [_pad(op, present(op, arrays), number(op, "value", 0.0))]


def compute_integer(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """The constant in steps of the scale, next to the zero point."""
    x = tensors[0]
    if not isinstance(x, IntTensor) or x.axis is not None:
        return None
    steps = number(op, "value", 0.0) * x.divisor / float(x.scale)
    if not math.isfinite(steps) or steps != round(steps):
        return None
    return [x.with_data(_pad(op, x.data, int(steps) + int(x.zero_point)))]


def _pad(op: Op, x: Array, value: float) -> Array:
    pads = _pads(op, x.ndim)
    crop = tuple(slice(max(0, -b), n - max(0, -e)) for (b, e), n in zip(pads, x.shape, strict=True))
    grow = [(max(0, b), max(0, e)) for b, e in pads]
    mode = text(op, "mode", "constant", MODES)
    if mode == "constant":
        return np.pad(x[crop], grow, constant_values=value)
    return np.pad(x[crop], grow, mode=mode)  # type: ignore[call-overload, no-any-return]


def _pads(op: Op, rank: int) -> list[tuple[int, int]]:
    pads = ints(op, "pads")
    if len(pads) != 2 * rank:
        raise mismatch(op, f"{len(pads)} pads for {rank} axes", f"{2 * rank}: all begins, then all ends")
    return list(zip(pads[:rank], pads[rank:], strict=True))


SPECS = (OpSpec("pad", Traits("pad"), infer, compute, compute_integer),)

"""Averages with a DPU's factor in torch: the sum of a window times N / 2**M, padding counted as zeros.

Sums of stored numbers are exact in float32 below 2**24 steps, and the product is rounded once, as in the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch.nn import functional

from quantforge.graph import Op
from quantforge.ops.attributes import flag, ints

Kernel = Callable[[Sequence[Any]], Any]


def scaled_sum(op: Op) -> Kernel | None:
    """The kernel of an average pool or mean with the attribute `dpu_factor`; None where torch has no such sum."""
    numerator, shift = ints(op, "dpu_factor")
    factor = numerator / 2**shift
    if op.kind == "reduction-mean":
        axes, keep = ints(op, "axes", ()), flag(op, "keepdims", True)
        return lambda tensors: tensors[0].sum(axes or tuple(range(tensors[0].ndim)), keepdim=keep) * factor
    rank = int(op.kind[-2])
    if flag(op, "global"):
        return lambda tensors: tensors[0].sum(tuple(range(2, 2 + rank)), keepdim=True) * factor
    return _windows(op, rank, factor)


def _windows(op: Op, rank: int, factor: float) -> Kernel | None:
    ones, zeros = (1,) * rank, (0,) * rank
    kernel, stride, pads = ints(op, "kernel"), ints(op, "stride", ones), ints(op, "pads", zeros * 2)
    if rank == 3 or flag(op, "ceil_mode") or set(ints(op, "dilation", ones)) != {1}:
        return None
    pairs = zip(reversed(pads[:rank]), reversed(pads[rank:]), strict=True)
    border = [amount for pair in pairs for amount in pair]

    def compute(tensors: Sequence[Any]) -> Any:
        x = functional.pad(tensors[0], border) if any(border) else tensors[0]
        if rank == 2:
            return functional.avg_pool2d(x, kernel, stride, divisor_override=1) * factor
        lines = functional.avg_pool2d(x.unsqueeze(2), (1, *kernel), (1, *stride), divisor_override=1)
        return lines.squeeze(2) * factor

    return compute

"""What stood in a tensor before it was rounded, followed through operators that only move numbers.

A tensor that the teacher does not have is not replaced by the teacher's. When an operator behind it moves its numbers
into a tensor that the teacher does have, a difference there was made by the rounding in front of the move.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantforge.debugging.explain import EXTRA_BITS, exact_steps, factor_gap, float_slack, widened
from quantforge.debugging.stage import Array
from quantforge.diagnostics import QuantforgeError
from quantforge.runtime.cpu.boundary import meaning_of
from quantforge.runtime.cpu_ops import Kernel
from quantforge.runtime.fixed import fixed_of
from quantforge.runtime.program import Program
from quantforge.runtime.reference import evaluate
from quantforge.xmodel.model import XOp

FloatArray = NDArray[np.float64]
_FIXING = ("fix", "float2fix")
_PASSING = ("fix2float", "identity", "upload", "download")
_DPU_MOVES = frozenset(
    {
        "concat-fix",
        "reshape-fix",
        "pad-fix",
        "strided_slice-fix",
        "tile-fix",
        "reorg-fix",
        "pixel-shuffle-fix",
    }
    | {"upsample-fix", "downsample-fix", "pool-fix", "reduction_max-fix"}
)
_CPU_MOVES = frozenset({"reshape", "flatten", "squeeze", "transpose", "concat", "strided_slice"})


@dataclass(frozen=True)
class Trace:
    """Results before rounding in steps of the tensor; how far a float32 sum, or a true mean, may be off them."""

    exact: FloatArray
    slack: FloatArray
    gap: FloatArray | float = 0.0


Source = Callable[[], Trace | None]
Arrays = dict[str, list[Array]]


def moves(op: XOp) -> bool:
    """Whether an operator only moves or picks numbers, so that it commutes with rounding."""
    if op.kind == "pool-fix":
        return bool(op.get("type") == "MAX")
    if op.kind in ("upsample-fix", "downsample-fix"):
        return bool(op.get("mode") == "NEAREST")
    return op.kind in _DPU_MOVES or op.kind in _CPU_MOVES or op.kind in _PASSING


def trace_of(
    program: Program, op: XOp, arrays: Arrays, kernel: Kernel | None, sources: Mapping[str, Source]
) -> Trace | None:
    """The trace of an operator's result; None when it neither rounds nor moves something that was rounded.

    Args:
        program: The subgraph of the operator.
        op: The operator.
        arrays: Its inputs by argument.
        kernel: What computes it on the CPU; None on a DPU.
        sources: Traces of the inputs that the teacher does not have.
    """
    if moves(op):
        return _moved(program, op, arrays, kernel, sources)
    if kernel is None:
        exact = exact_steps(op, arrays, program.read)
        if exact is None:
            return None
        slack = np.broadcast_to(float_slack(op, arrays, program.read), exact.shape)
        return Trace(exact, slack, factor_gap(op, arrays, program.read, exact))
    if op.kind in _FIXING:
        exact = np.ldexp(arrays["input"][0].astype(np.float64), meaning_of(op).position)
        return Trace(exact, np.zeros_like(exact))
    return None


def _moved(
    program: Program, op: XOp, arrays: Arrays, kernel: Kernel | None, sources: Mapping[str, Source]
) -> Trace | None:
    found = [sources[name]() if name in sources else None for name in op.args.get("input", ())]
    if not any(trace is not None for trace in found):
        return None
    exact = [_whole(a) if t is None else t.exact for t, a in zip(found, arrays["input"], strict=True)]
    slack = [np.zeros(a.shape) if t is None else t.slack for t, a in zip(found, arrays["input"], strict=True)]
    if op.kind in _PASSING:
        return Trace(exact[0], slack[0])
    try:
        if kernel is not None:
            return Trace(*(np.asarray(kernel(op, {"input": rows}), np.float64) for rows in (exact, slack)))
        return Trace(_on_dpu(program, op, exact), _on_dpu(program, op, slack))
    except QuantforgeError:  # a kernel that refuses wider numbers: then nothing is known
        return None


def _whole(array: Array) -> FloatArray:
    """Integers that the teacher gave are exact."""
    return array.astype(np.float64)


def _on_dpu(program: Program, op: XOp, rows: list[FloatArray]) -> FloatArray:
    """The operator on numbers with 24 bits behind the binary point of the integers."""
    wide = {"input": [np.ldexp(row, EXTRA_BITS).clip(-(2**31), 2**31 - 1).astype(np.int64) for row in rows]}
    result = evaluate(widened(op, EXTRA_BITS), wide, lambda name: widened(program.read(name), EXTRA_BITS))
    return np.ldexp(result.astype(np.float64), -EXTRA_BITS)


def input_trace(op: XOp, reals: Array) -> Trace | None:
    """The trace of an input that the model rounds; None for one that it takes as it is."""
    if not op.tensor.dtype.fixed:
        return None
    exact = np.ldexp(reals.astype(np.float64), fixed_of(op).position)
    return Trace(exact, np.zeros_like(exact))

"""The reference engine: a DPU subgraph on NumPy integers, operator by operator, slow and obvious.

It is the living definition of what a compiled model computes; the fast engine is tested to equal it bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quantforge.diagnostics import UnsupportedError
from quantforge.runtime.fixed import Array
from quantforge.runtime.kernels import elementwise, movement, sampling, windows
from quantforge.runtime.program import Program
from quantforge.xmodel.model import XOp

Arrays = dict[str, list[Array]]
Kernel = Callable[[XOp, Arrays, Callable[[str], XOp]], Array]

CONVOLUTIONS = tuple(
    f"{prefix}conv{rank}d-fix"
    for prefix in ("", "depthwise-", "transposed-", "transposed-depthwise-")
    for rank in (1, 2, 3)
)
KERNELS: dict[str, Kernel] = {
    **dict.fromkeys(CONVOLUTIONS, windows.convolve),
    "pool-fix": windows.pool,
    "eltwise-fix": elementwise.combine,
    "depthwise-fix": elementwise.combine,
    "hard-sigmoid-fix": elementwise.hard_sigmoid_fix,
    "upload": movement.copy,
    "download": movement.copy,
    "identity": movement.copy,
    "concat-fix": movement.concat,
    "reshape-fix": movement.reshape,
    "pad-fix": movement.pad,
    "strided_slice-fix": movement.strided_slice,
    "tile-fix": movement.tile,
    "reorg-fix": movement.reorg,
    "pixel-shuffle-fix": movement.pixel_shuffle,
    "reduction_max-fix": movement.reduce_max,
    "argmax-fix": movement.argmax,
    "upsample-fix": sampling.resample,
    "downsample-fix": sampling.resample,
}


class ReferenceEngine:
    """Runs one DPU subgraph; holds no state between runs, so any number of threads may share it."""

    def __init__(self, program: Program) -> None:
        """Check that every operator is known.

        Raises:
            UnsupportedError: Q1202 for a kind that a DPU does not have.
        """
        self.program = program
        for op in program.ops:
            kernel_of(op)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by operator name, from the integers of each input by operator name."""
        return self._evaluate(feeds, [op.name for op in self.program.outputs])

    def run_all(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """As `run`, with every tensor that is computed on the way."""
        return self._evaluate(feeds, [op.name for op in self.program.ops])

    def _evaluate(self, feeds: Mapping[str, Array], wanted: list[str]) -> dict[str, Array]:
        live: dict[str, Array] = {**self.program.constants, **feeds}
        for op in self.program.ops:
            arrays = {arg: [live[name] for name in names] for arg, names in op.args.items() if names}
            live[op.name] = _stored(op, kernel_of(op)(op, arrays, self.program.read))
        return {name: live[name] for name in wanted}


def kernel_of(op: XOp) -> Kernel:
    """What computes operators of this kind.

    Raises:
        UnsupportedError: Q1202 when nothing does.
    """
    found = KERNELS.get(op.kind)
    if found is None:
        raise UnsupportedError(
            "Q1202", op.name, f"operator type {op.kind!r}", "a DPU operator", "leave it to the CPU"
        )
    return found


def evaluate(op: XOp, arrays: Arrays, read: Callable[[str], XOp]) -> Array:
    """One operator on its arrays, by argument name; the result in the type of its tensor."""
    return _stored(op, kernel_of(op)(op, arrays, read))


def _stored(op: XOp, integers: Array) -> Array:
    dtype = op.tensor.dtype.numpy
    return integers if dtype is None else integers.astype(dtype, copy=False)

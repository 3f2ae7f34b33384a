"""The engine of CPU subgraphs: float operators on NHWC arrays, custom operators, kept ONNX nodes.

Where the original's CPU operators disagree with their definition (a softmax that overflows and only knows the last
axis) the definition is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from quantforge.diagnostics import UnsupportedError
from quantforge.runtime.cpu import boundary, movement, pointwise, reductions, windows
from quantforge.runtime.custom_ops import find_custom
from quantforge.runtime.fixed import Array
from quantforge.runtime.program import Program
from quantforge.xmodel.model import XOp

Arrays = dict[str, list[Array]]
Kernel = Callable[[XOp, Arrays], Array]

KERNELS: dict[str, Kernel] = {
    "fix": boundary.fix,
    "float2fix": boundary.float2fix,
    "fix2float": boundary.fix2float,
    "cast": boundary.cast,
    **pointwise.KERNELS,
    **windows.KERNELS,
    **movement.KERNELS,
    **reductions.KERNELS,
}
# Kinds that treat the samples of a batch alike whatever their attributes say; others run sample by sample.
SAMPLEWISE = {
    *pointwise.KERNELS,
    *windows.KERNELS,
    *(
        "fix",
        "float2fix",
        "fix2float",
        "cast",
        "identity",
        "reshape",
        "squeeze",
        "flatten",
        "download",
        "upload",
    ),
    *("pixel-shuffle", "gstiling", "reorg", "nn_channel_shuffle", "inner-product"),
} - {"threshold", "batchnorm", "scale"}


class CpuEngine:
    """Runs one CPU subgraph; any number of threads may call `run` at once."""

    def __init__(self, program: Program) -> None:
        """Find what computes each operator.

        Raises:
            UnsupportedError: Q1210 for an operator that nothing computes.
            InputError: Q1203, Q1213 for kept nodes and libraries that cannot be used.
        """
        self.program = program
        self._kernels = {op.name: kernel_of(op, program) for op in program.ops}
        self._last_use = {name: op.name for op in program.ops for name in op.producers}
        self._kept = {op.name for op in program.outputs}

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by operator name, from the arrays of each input by operator name, any number of samples."""
        if not self.program.inputs:
            return self._run(feeds, self._kept)
        first = self.program.inputs[0]
        size, count = first.tensor.shape[0], len(feeds[first.name])
        if count > size and not self._together():
            starts = range(0, count, size)
            parts = [self._run({k: v[i : i + size] for k, v in feeds.items()}, self._kept) for i in starts]
            return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return self._run(feeds, self._kept)

    def run_all(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """As `run`, with every tensor that is computed on the way."""
        return self._run(feeds, {op.name for op in self.program.ops})

    def _together(self) -> bool:
        size = self.program.inputs[0].tensor.shape[0]
        for op in self.program.ops:
            shapes = [
                self.program.read(n).tensor.shape for n in op.producers if n not in self.program.constants
            ]
            ranks = {len(shape) for shape in shapes}
            softmax = op.kind == "softmax" and int(op.get("axis", -1)) % len(op.tensor.shape) != 0
            if not (op.kind in SAMPLEWISE or softmax) or len(ranks) > 1 or op.tensor.shape[0] != size:
                return False
        return True

    def _run(self, feeds: Mapping[str, Array], wanted: set[str]) -> dict[str, Array]:
        live: dict[str, Array] = {**self.program.constants, **feeds}
        results: dict[str, Array] = {}
        for op in self.program.ops:
            arrays = {arg: [live[name] for name in names] for arg, names in op.args.items() if names}
            live[op.name] = result = self._kernels[op.name](op, arrays)
            if op.name in wanted:
                results[op.name] = result
            for name in op.producers:
                if self._last_use[name] == op.name and name not in feeds:
                    live.pop(name, None)
        return results


def kernel_of(op: XOp, program: Program) -> Kernel:
    """What computes `op`: a custom operator of its type, else a built-in one.

    Raises:
        UnsupportedError: Q1210 when there is neither.
    """
    if op.kind.startswith("onnx:"):
        from quantforge.runtime.cpu.foreign import ForeignOp

        return ForeignOp(op)
    found = KERNELS.get(op.kind) or find_custom(op, program.read)
    if found is None:
        fix = f"register it: @quantforge.runtime.register_op({op.kind!r})"
        raise UnsupportedError("Q1210", op.name, f"operator type {op.kind!r}", "an operator of the CPU", fix)
    return found

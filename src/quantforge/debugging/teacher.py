"""Teacher forcing: every operator gets the numbers that another stage had, so that no error is carried along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from quantforge.debugging.difference import RELATIVE, ElementDifference, Positions, differing, element
from quantforge.debugging.explain import NOTHING, Explanation, reasons
from quantforge.debugging.observe import programs
from quantforge.debugging.stage import Array, Arrays, Signal
from quantforge.debugging.trace import Source, Trace, input_trace, trace_of
from quantforge.debugging.xmodel_stage import XmodelStage
from quantforge.runtime.cpu.boundary import meaning_of
from quantforge.runtime.cpu_ops import Kernel, kernel_of
from quantforge.runtime.fixed import fixed_of
from quantforge.runtime.program import Program
from quantforge.runtime.reference import evaluate
from quantforge.xmodel.model import XOp


class Teacher:
    """Runs an xmodel operator by operator on the tensors of another stage, the teacher."""

    def __init__(self, stage: XmodelStage, taught: Mapping[str, Signal], relative: float = RELATIVE) -> None:
        """`stage` is the xmodel, `taught` are the teacher's signals."""
        self.stage = stage
        self.taught = taught
        self.relative = relative
        self._programs = programs(stage.model)
        self._kernels: dict[str, Kernel] = {}
        self.names: dict[str, list[str]] = {}
        for name, op in stage.holders.items():
            self.names.setdefault(op.name, []).append(name)

    def run(self, feeds: Arrays, given: Mapping[str, Array]) -> dict[str, Explanation]:
        """What each tensor that the teacher has looks like when everything before it is the teacher's.

        Args:
            feeds: The model's inputs, real numbers.
            given: The teacher's tensors by signal, in the teacher's order of axes.
        """
        lesson = _Lesson(self, given)
        for name, array in self.stage.arguments.feeds(feeds).items():
            op = self.stage.model.ops[name]
            reals = self.stage.arguments.memory(op, np.asarray(feeds[name]))
            trace = input_trace(op, reals)
            lesson.settle(op, array, cache(lambda trace=trace: trace))
        for program in self._programs:
            lesson.live.update(program.constants)
            for op in program.ops:
                self._step(program, op, lesson)
        return lesson.found

    def positions(self, name: str) -> Positions:
        """Fractional bits of a tensor on the teacher's side and on this one."""
        return Positions(self.taught[name].position, self.stage.signals[name].position)

    def _step(self, program: Program, op: XOp, lesson: _Lesson) -> None:
        arrays = {arg: [lesson.live[name] for name in names] for arg, names in op.args.items() if names}
        kernel = None if program.device == "DPU" else self._kernel(op, program)
        made = evaluate(op, arrays, program.read) if kernel is None else kernel(op, arrays)
        sources = {name: lesson.traces[name] for name in op.producers if name in lesson.traces}
        lesson.settle(op, made, cache(lambda: trace_of(program, op, arrays, kernel, sources)))

    def _kernel(self, op: XOp, program: Program) -> Kernel:
        if op.name not in self._kernels:
            self._kernels[op.name] = kernel_of(op, program)
        return self._kernels[op.name]


@dataclass
class _Lesson:
    """One batch: tensors as the next operators get them, traces of those that the teacher does not have."""

    teacher: Teacher
    given: Mapping[str, Array]
    live: dict[str, Array] = field(default_factory=dict)
    traces: dict[str, Source] = field(default_factory=dict)
    found: dict[str, Explanation] = field(default_factory=dict)

    def settle(self, op: XOp, made: Array, trace: Source) -> None:
        """Note how `made` differs from the teacher's tensor, which takes its place."""
        self.live[op.name] = made
        names = [name for name in self.teacher.names.get(op.name, ()) if name in self.given]
        if not names:
            self.traces[op.name] = trace
        stage = self.teacher.stage
        for name in names:
            own = stage.integers(op, made)
            right = stage.memory(name, self.given[name]).reshape(own.shape)
            self.found[name] = self._explained(op, name, right, own, trace)
            self.live[op.name] = self._as_stored(op, name, right, made)

    def _explained(self, op: XOp, name: str, right: Array, own: Array, trace: Source) -> Explanation:
        positions = self.teacher.positions(name)
        unequal, _ = differing(right, own, positions, self.teacher.relative)
        if not unequal.any():
            return NOTHING
        known = trace() if positions.exact and positions.first == positions.second else None
        tie = lost = mean = np.zeros(own.shape, bool)
        if known is not None:
            fixed = fixed_of(op) if op.tensor.dtype.fixed else meaning_of(op)
            exact, slack = known.exact.reshape(own.shape), known.slack.reshape(own.shape)
            gap = np.asarray(known.gap)
            gap = gap.reshape(own.shape) if gap.ndim else gap
            why = reasons(right, exact, fixed.low, fixed.high, slack, gap)
            tie, lost, mean = why.tie & unequal, why.lost & unequal, why.mean & unequal
        left = unequal & ~tie & ~lost & ~mean
        return Explanation(
            int(unequal.sum()),
            int(tie.sum()),
            int(lost.sum()),
            int(left.sum()),
            _first(left, right, own, positions, known),
            _first(tie | lost | mean, right, own, positions, known),
            int(mean.sum()),
        )

    def _as_stored(self, op: XOp, name: str, right: Array, made: Array) -> Array:
        """The teacher's numbers in the form that the operator's readers expect, where they are of one kind."""
        positions = self.teacher.positions(name)
        if positions.first != positions.second:
            return made
        if op.tensor.dtype.fixed or positions.first is None:
            return np.ascontiguousarray(right, made.dtype)
        return np.ldexp(right.astype(np.float64), -positions.first).astype(made.dtype)


def _first(
    part: Array, right: Array, own: Array, positions: Positions, known: Trace | None
) -> ElementDifference | None:
    """The first element of a part of all, with the result before rounding."""
    if not part.any():
        return None
    index = tuple(int(axis[0]) for axis in np.nonzero(part))
    exact = None if known is None else float(known.exact.reshape(own.shape)[index])
    return replace(element(right, own, positions, index), exact=exact)

"""Teacher forcing: every operator gets the numbers that another stage had, so that no error is carried along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from quantforge.debugging.difference import RELATIVE, ElementDifference, Positions, differing, element
from quantforge.debugging.explain import NOTHING, Explanation, exact_steps, float_slack, reasons
from quantforge.debugging.observe import programs
from quantforge.debugging.stage import Array, Arrays, Signal
from quantforge.debugging.xmodel_stage import XmodelStage
from quantforge.runtime.cpu.boundary import meaning_of
from quantforge.runtime.cpu_ops import Kernel, kernel_of
from quantforge.runtime.fixed import fixed_of
from quantforge.runtime.program import Program
from quantforge.runtime.reference import evaluate
from quantforge.xmodel.model import XOp

_FIXING = ("fix", "float2fix")


class Teacher:
    """Runs an xmodel operator by operator on the tensors of another stage, the teacher."""

    def __init__(self, stage: XmodelStage, taught: Mapping[str, Signal], relative: float = RELATIVE) -> None:
        """`stage` is the xmodel, `taught` are the teacher's signals."""
        self._stage = stage
        self._taught = taught
        self._relative = relative
        self._programs = programs(stage.model)
        self._kernels: dict[str, Kernel] = {}
        self._names: dict[str, list[str]] = {}
        for name, op in stage.holders.items():
            self._names.setdefault(op.name, []).append(name)

    def run(self, feeds: Arrays, given: Mapping[str, Array]) -> dict[str, Explanation]:
        """What each tensor that the teacher has looks like when everything before it is the teacher's.

        Args:
            feeds: The model's inputs, real numbers.
            given: The teacher's tensors by signal, in the teacher's order of axes.
        """
        found: dict[str, Explanation] = {}
        live: dict[str, Array] = {}
        for name, array in self._stage.arguments.feeds(feeds).items():
            op = self._stage.model.ops[name]
            exact = self._input_exact(op, feeds)
            live[name] = self._settle(op, array, given, found, exact, 0.0)
        for program in self._programs:
            live.update(program.constants)
            for op in program.ops:
                self._step(program, op, live, given, found)
        return found

    def _step(
        self,
        program: Program,
        op: XOp,
        live: dict[str, Array],
        given: Mapping[str, Array],
        found: dict[str, Explanation],
    ) -> None:
        arrays = {arg: [live[name] for name in names] for arg, names in op.args.items() if names}
        on_dpu = program.device == "DPU"
        made = self._computed(program, op, arrays)
        if not self._differs(op, made, given):
            live[op.name] = self._settle(op, made, given, found, None, 0.0)
            return
        exact: Array | None = None
        slack: Array | float = 0.0
        if on_dpu:
            exact, slack = exact_steps(op, arrays, program.read), float_slack(op, arrays, program.read)
        elif op.kind in _FIXING:
            exact = np.ldexp(arrays["input"][0].astype(np.float64), meaning_of(op).position)
        live[op.name] = self._settle(op, made, given, found, exact, slack)

    def _computed(self, program: Program, op: XOp, arrays: dict[str, list[Array]]) -> Array:
        if program.device == "DPU":
            return evaluate(op, arrays, program.read)
        if op.name not in self._kernels:
            self._kernels[op.name] = kernel_of(op, program)
        return self._kernels[op.name](op, arrays)

    def _differs(self, op: XOp, made: Array, given: Mapping[str, Array]) -> bool:
        return any(
            name in given and self._unequal(op, name, made, given[name]).any()
            for name in self._names.get(op.name, ())
        )

    def _unequal(self, op: XOp, name: str, made: Array, taught: Array) -> Array:
        own = self._stage.integers(op, made)
        right = self._stage.memory(name, taught).reshape(own.shape)
        return differing(right, own, self._positions(name), self._relative)[0]

    def _positions(self, name: str) -> Positions:
        return Positions(self._taught[name].position, self._stage.signals[name].position)

    def _settle(
        self,
        op: XOp,
        made: Array,
        given: Mapping[str, Array],
        found: dict[str, Explanation],
        exact: Array | None,
        slack: Array | float,
    ) -> Array:
        """Note how `made` differs from the teacher's tensor; gives the one that the next operators get."""
        result = made
        for name in self._names.get(op.name, ()):
            if name not in given:
                continue
            own = self._stage.integers(op, made)
            right = self._stage.memory(name, given[name]).reshape(own.shape)
            found[name] = self._explained(op, name, right, own, exact, slack)
            result = self._as_stored(op, name, right, made)
        return result

    def _explained(
        self, op: XOp, name: str, right: Array, own: Array, exact: Array | None, slack: Array | float
    ) -> Explanation:
        positions = self._positions(name)
        unequal, _ = differing(right, own, positions, self._relative)
        if not unequal.any():
            return NOTHING
        tie = lost = np.zeros(own.shape, bool)
        if exact is not None and positions.first == positions.second is not None:
            fixed = fixed_of(op) if op.tensor.dtype.fixed else meaning_of(op)
            why = reasons(right, exact.reshape(own.shape), fixed.low, fixed.high, slack)
            tie, lost = why.tie & unequal, why.lost & unequal
        left = unequal & ~tie & ~lost

        def first_of(part: Array) -> ElementDifference | None:
            if not part.any():
                return None
            index = tuple(int(axis[0]) for axis in np.nonzero(part))
            found = element(right, own, positions, index)
            known = None if exact is None else float(exact.reshape(own.shape)[index])
            return replace(found, exact=known)

        ties, floats = int(tie.sum()), int(lost.sum())
        unexplained = int(left.sum())
        return Explanation(
            int(unequal.sum()), ties, floats, unexplained, first_of(left), first_of(tie | lost)
        )

    def _as_stored(self, op: XOp, name: str, right: Array, made: Array) -> Array:
        """The teacher's numbers in the form that the operator's readers expect, where they are of one kind."""
        first, second = self._taught[name].position, self._stage.signals[name].position
        if first != second:
            return made
        if op.tensor.dtype.fixed or first is None:
            return np.ascontiguousarray(right, made.dtype)
        return np.ldexp(right.astype(np.float64), -first).astype(made.dtype)

    def _input_exact(self, op: XOp, feeds: Arrays) -> Array | None:
        if not op.tensor.dtype.fixed:
            return None
        real = self._stage.arguments.memory(op, np.asarray(feeds[op.name], np.float64))
        return np.ldexp(real, fixed_of(op).position)

"""Running a whole xmodel, compiled or not, and keeping every tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from quantforge.debugging.stage import Array
from quantforge.diagnostics import InputError
from quantforge.numerics.rounding import round_array
from quantforge.runtime.fixed import fixed_of
from quantforge.runtime.graph_runner import ordered_subgraphs
from quantforge.runtime.program import DATA, Program, program_of
from quantforge.xmodel.model import Attr, Subgraph, XModel, XOp

MODES = ("run", "ref", "sim")


class ObservingEngine(Protocol):
    """An engine that gives all tensors of its subgraph."""

    program: Program

    def run_all(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """All tensors by operator name, from the inputs by operator name."""


class Observer:
    """Every tensor of a model, by operator name; one batch of the model's own size at a time."""

    def __init__(self, model: XModel, mode: str = "run") -> None:
        """Prepare all subgraphs; a model that is not compiled runs on the CPU as a whole.

        Raises:
            InputError: Q1207 for an unknown mode, Q1205 for files of the original compiler.
            UnsupportedError: Q1202, Q1210 for operators without an implementation.
        """
        if mode not in MODES:
            raise InputError("Q1207", model.name, f"mode {mode!r}", f"one of {', '.join(MODES)}", "use 'run'")
        self.model = model
        self.inputs = tuple(op for op in model.ops.values() if op.kind in DATA)
        self.engines = tuple(observing_engine(program, mode) for program in programs(model))

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """All tensors of one batch, as they are stored, from inputs as they are stored."""
        live = dict(feeds)
        for engine in self.engines:
            live.update(engine.run_all({op.name: live[op.name] for op in engine.program.inputs}))
        return live


def programs(model: XModel) -> list[Program]:
    """What runs, in order: device-level subgraphs, or the whole of a model that has none.

    Raises:
        InputError: Q1205, Q1207, Q1214, see `quantforge.runtime`.
    """
    if not model.root.children:
        ops = [op.name for op in model.ops.values() if op.kind not in DATA]
        return [program_of(model, Subgraph(model.name, ops, attrs={"device": Attr("string", "CPU")}))]
    parts = (part for part in ordered_subgraphs(model) if part.get("device") != "USER")
    return [program_of(model, part) for part in parts]


def observing_engine(program: Program, mode: str) -> ObservingEngine:
    """The engine of one subgraph: fast in mode run, the reference in the others, NumPy for the CPU."""
    if program.device != "DPU":
        from quantforge.runtime.cpu_ops import CpuEngine

        return CpuEngine(program)
    if mode == "run":
        from quantforge.runtime.engine import FastEngine

        return FastEngine(program, observe=True)
    from quantforge.runtime.reference import ReferenceEngine

    return ReferenceEngine(program)


def stored(op: XOp, data: Array) -> Array:
    """Real numbers as the tensor of an input operator stores them: rounded and saturated when it is fixed-point."""
    dtype = op.tensor.dtype.numpy
    if not op.tensor.dtype.fixed:
        return np.ascontiguousarray(data, dtype)
    fixed = fixed_of(op)
    scaled = np.ldexp(np.asarray(data, np.float64), fixed.position)
    rounded = np.clip(np.nan_to_num(scaled), fixed.low - 1, fixed.high + 1)
    return np.ascontiguousarray(np.clip(round_array(rounded, fixed.rounding), fixed.low, fixed.high), dtype)

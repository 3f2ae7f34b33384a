"""Which engine runs a subgraph; compiled once and shared by all runners of that subgraph."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Literal, Protocol

from quantforge.diagnostics import InputError
from quantforge.runtime.fixed import Array
from quantforge.runtime.program import Program, program_of
from quantforge.xmodel.digest import digest_of, read_header
from quantforge.xmodel.model import Subgraph, XModel

Mode = Literal["run", "ref", "sim"]
MODES = ("run", "ref", "sim")


class Engine(Protocol):
    """A subgraph made ready to run; `run` may be called by several threads at once."""

    program: Program

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by operator name, from inputs by operator name."""


# Puts something around an engine that looks at its tensors; used for dumps and cross-checks.
Watch = Callable[[Engine], Engine]

_known: dict[tuple[int, str, int | None, tuple[str, ...]], Engine] = {}
_building: dict[int, Lock] = {}
_lock = Lock()


def engine_for(
    model: XModel, subgraph: Subgraph, mode: str, threads: int | None = None, keep: tuple[str, ...] = ()
) -> Engine:
    """The engine of `subgraph`: fast in mode run, the reference in modes ref and sim; NumPy on the CPU.

    A model must not be edited between its first and its last run. `keep` names operators whose tensors are results
    although the model itself reads them.

    Raises:
        InputError: Q1207 for a mode or a subgraph that cannot run, and what the engines raise.
    """
    if mode not in MODES:
        raise InputError(
            "Q1207", subgraph.name, f"mode {mode!r}", f"one of {', '.join(MODES)}", "use mode 'run'"
        )
    key = (id(subgraph), mode, threads, keep)
    with _lock:
        if key in _known:
            return _known[key]
        building = _building.get(id(subgraph))
        if building is None:
            building = _building[id(subgraph)] = Lock()
            weakref.finalize(subgraph, _forget, id(subgraph))
    with building:
        if key not in _known:
            program = program_of(model, subgraph, keep)
            check_program(model, subgraph)
            _known[key] = build_engine(program, mode, threads)
        return _known[key]


def check_program(model: XModel, subgraph: Subgraph) -> None:
    """Refuse a DPU subgraph whose program was made from other operators or weights, or for another DPU.

    A subgraph without a program is fine: the operators are what runs.

    Raises:
        InputError: Q1206 for a program that does not belong here, Q1108 for one of another compiler.
    """
    code = subgraph.get("mc_code", b"")
    if subgraph.get("device") != "DPU" or not code:
        return
    header, _ = read_header(code)
    fingerprint = subgraph.get("dpu_fingerprint", 0)
    fix = "compile the quantized model again"
    if fingerprint and header.fingerprint and fingerprint != header.fingerprint:
        found = f"a program for {header.fingerprint:#x}"
        raise InputError("Q1206", subgraph.name, found, f"one for {fingerprint:#x}, as the model says", fix)
    if header.digest != digest_of(model, subgraph):
        found = "a program that was made from other operators or weights"
        raise InputError("Q1206", subgraph.name, found, "operators unchanged since compiling", fix)


def build_engine(program: Program, mode: str, threads: int | None = None) -> Engine:
    """A new engine for a program.

    Raises:
        InputError: Q1207 for a program that belongs to no device.
    """
    if program.device == "DPU" and mode == "run":
        from quantforge.runtime.engine import FastEngine

        return FastEngine(program, threads)
    if program.device == "DPU":
        from quantforge.runtime.reference import ReferenceEngine

        return ReferenceEngine(program)
    if program.device == "CPU":
        from quantforge.runtime.cpu_ops import CpuEngine

        return CpuEngine(program)
    found = f"a subgraph of device {program.device!r}" if program.device else "a subgraph without a device"
    fix = "take the children of the root of a compiled model whose device is DPU or CPU"
    raise InputError("Q1207", program.name, found, "device DPU or CPU", fix)


def _forget(identity: int) -> None:
    with _lock:
        _building.pop(identity, None)
        for key in [key for key in _known if key[0] == identity]:
            del _known[key]

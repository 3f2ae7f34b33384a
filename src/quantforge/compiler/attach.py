"""What a compiled file says beside its operators: addresses, registers, programs, identity, reasons.

Parameters are kept once, in the attribute `data` of the const-fix operators; the register of parameters (REG_0) has
a size but no value. Registers follow published files: REG_0 CONST, REG_1 workspace, REG_2 input, REG_3 output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import pairwise

from quantforge.compiler.options import CompileOptions
from quantforge.compiler.program import write_program
from quantforge.compiler.schedule import CONST, INPUT, OUTPUT, WORKSPACE, Schedule
from quantforge.compiler.tree import CPU_RUNNER
from quantforge.compiler.views import dense
from quantforge.diagnostics import Diagnostic
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import Attr, Attrs, XModel

_USES = {CONST: "CONST", WORKSPACE: "WORKSPACE", INPUT: "INTERFACE", OUTPUT: "INTERFACE"}
_CARDS = ("DPUCAHX8H", "DPUCAHX8L", "DPUCVDX8H", "DPUCADF8H")  # driven by another library than boards are


@dataclass(frozen=True)
class Extras:
    """What the caller adds: the preprocessing contract as JSON, and the MD5 of the source files by path."""

    preprocessing: str | None = None
    sources: Mapping[str, str] | None = None


def attach(
    model: XModel,
    target: DpuTarget,
    schedules: Sequence[Schedule],
    options: CompileOptions,
    extras: Extras,
    reasons: Mapping[str, str],
) -> tuple[Diagnostic, ...]:
    """Write the attributes; returns a notice for every option that changes nothing."""
    for schedule in schedules:
        prefetch = _can_prefetch(model, schedule, target) if options.prefetch is None else options.prefetch
        _addresses(model, schedule)
        _tilings(schedule)
        schedule.subgraph.attrs |= (
            _identity(target)
            | _registers(schedule)
            | {
                "mc_code": Attr("bytes", write_program(model, schedule, target, prefetch)),
                "mc_code_preload": Attr("bytes", b""),
                "if_prefetch": Attr("bool", prefetch),
                "debug_mode": Attr("string", "null"),
                "children_topological_sort": Attr("string_vec", _order(model, schedule)),
            }
        )
    model.root.attrs |= {
        "prefetch": Attr("bool", bool(options.prefetch)),
        "hd_opt": Attr("bool", options.hd_opt),
        "reserve_const_data": Attr("bool", True),
    }
    model.attrs |= {
        "libs_info": _texts({"quantforge": metadata.version("quantforge")}),
        "files_md5sum": _texts(dict(extras.sources or {})),
        "quantforge_reasons": _texts(dict(reasons)),
    }
    if extras.preprocessing is not None:
        model.attrs["quantforge_preprocessing"] = Attr("string", extras.preprocessing)
    return tuple(_notices(options, schedules))


def _identity(target: DpuTarget) -> Attrs:
    run = "librt-engine.so" if target.family in _CARDS else "libvart-dpu-runner.so"
    return {
        "dpu_name": Attr("string", target.name),
        "dpu_fingerprint": Attr("uint64", target.fingerprint),
        "runner": _texts({"run": run, "ref": CPU_RUNNER, "sim": "libvart-sim-runner.so"}),
    }


def _registers(schedule: Schedule) -> Attrs:
    spaces = sorted(schedule.sizes)
    uses = {f"REG_{space}": _USES[space] for space in spaces}
    return {
        "reg_id_to_context_type": _texts(
            {reg: "CONST" if use == "CONST" else "DATA" for reg, use in uses.items()}
        ),
        "reg_id_to_context_type_v2": _texts(uses),
        "reg_id_to_hw_segment": _texts({reg: "W0" if use == "CONST" else "D0" for reg, use in uses.items()}),
        "reg_id_to_size": Attr(
            "map_string_2_int32", {f"REG_{space}": schedule.sizes[space] for space in spaces}
        ),
    }


def _addresses(model: XModel, schedule: Schedule) -> None:
    for name, place in schedule.places.items():
        tensor = model.ops[name].tensor
        tensor.attrs |= {
            "reg_id": Attr("int32", place.space),
            "ddr_addr": Attr("int32", place.offset),
            "location": Attr("int32", 0 if place.on_chip else 1),
        }
        if not place.on_chip and place.space != CONST:
            tensor.attrs["stride"] = Attr("int32_vec", place.strides or dense(tensor.shape))


def _tilings(schedule: Schedule) -> None:
    for layer in schedule.layers:
        if layer.writes in schedule.silent:
            layer.leaf.attrs["skip_code_gen"] = Attr("bool", True)
            continue
        tiling = schedule.tilings[layer.leaf.name]
        if tiling.count > 1:
            pieces = {"rows": tiling.rows, "columns": tiling.columns, "channels": tiling.channels}
            layer.leaf.attrs["tiling"] = Attr("map_string_2_int32", pieces)


def _order(model: XModel, schedule: Schedule) -> tuple[str, ...]:
    """Superlayers that compute something, in order."""
    border = ("upload", "download")
    return tuple(layer.leaf.name for layer in schedule.layers if model.ops[layer.writes].kind not in border)


def _can_prefetch(model: XModel, schedule: Schedule, target: DpuTarget) -> bool:
    """Whether the weights of any two neighbours fit into the parameter banks together."""
    bank = target.bank(target.conv.weight_bank or "")
    held = [
        sum(len(model.ops[name].get("data", b"")) for name in layer.constants)
        for layer in schedule.layers
        if layer.constants
    ]
    pairs = pairwise(held)
    return bank is not None and len(held) > 1 and all(a + b <= bank.bytes for a, b in pairs)


def _notices(options: CompileOptions, schedules: Sequence[Schedule]) -> list[Diagnostic]:
    notices = []
    if options.hd_opt:
        pieces = sum(tiling.count > 1 for schedule in schedules for tiling in schedule.tilings.values())
        notices.append(
            Diagnostic(
                "Q1109",
                "--options hd_opt",
                f"{pieces} superlayers done in pieces",
                "a switch that changes the schedule",
                "leave it out; large images are cut into pieces with or without it",
            )
        )
    return notices


def _texts(value: dict[str, str]) -> Attr:
    return Attr("map_string_2_string", value)

"""What this version does otherwise than the original would have, said as notices.

A shift that still lies outside its bounds when positions have moved is named (Q0715). Options that were set but have
nothing to act on get Q0707.
"""

from __future__ import annotations

from collections.abc import Iterator

from quantforge.diagnostics import Diagnostic
from quantforge.graph import Graph
from quantforge.targets import load_target
from quantforge.targets.limits import broken_limits
from vai_q_onnx.options import Options

NAMED_OPS = 4
_SWITCHES = {
    "shift_cut": "AdjustShiftCut",
    "shift_read": "AdjustShiftRead",
    "shift_write": "AdjustShiftWrite",
    "shift_swish": "AdjustShiftSwish",
    "shift_bias": "AdjustShiftBias",
    "hard_sigmoid": "AdjustHardSigmoid",
    "hard_sigmoid_in": "AdjustHardSigmoid",
    "hard_sigmoid_out": "AdjustHardSigmoid",
}


def notices_of(graph: Graph, options: Options) -> tuple[Diagnostic, ...]:
    """The notices for a quantized `graph`, in a fixed order."""
    found = [
        Diagnostic(
            "Q0707",
            f"option {name}",
            "a value without effect",
            condition,
            f"leave it out, or set {condition}",
        )
        for name, condition in options.without_effect()
    ]
    if options.enable_dpu:
        found += [_out_of_reach(name, rows) for name, rows in _broken(graph, options)]
    return tuple(found)


def _counted(ops: list[str]) -> str:
    more = f" and {len(ops) - NAMED_OPS} more" if len(ops) > NAMED_OPS else ""
    return f"{', '.join(ops[:NAMED_OPS])}{more}"


def _out_of_reach(option: str, rows: list[str]) -> Diagnostic:
    fix = f"extra_options={{{option!r}: False}} once this is known, or keep these operators in float"
    return Diagnostic("Q0715", f"option {option}", _counted(rows), "shifts within their bounds", fix)


def _broken(graph: Graph, options: Options) -> Iterator[tuple[str, list[str]]]:
    """Shifts that moving positions has not brought into their bounds, because other values share a spec."""
    shifts = load_target("dpu").shifts
    checked = options.extra["IPULimitationCheck"] and options.extra["NPULimitationCheck"]
    if shifts is None or not checked:
        return
    broken = broken_limits(graph, shifts)
    for shift, option in _SWITCHES.items():
        rows = [str(limit) for limit in broken if limit.shift == shift]
        if rows and options.extra[option]:
            yield option, rows

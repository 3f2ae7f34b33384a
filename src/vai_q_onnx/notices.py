"""What this version does otherwise than the original would have, said as notices.

Under ``enable_dpu`` the original splits large average pools. That is on by default, so a script does not ask for it
by name; where the model has such a pool, a notice (Q0705) names the option and the operators. A shift that still lies
outside its bounds when positions have moved is named too (Q0715). Options that were set but have nothing to act on
get Q0707.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from quantforge.diagnostics import Diagnostic
from quantforge.graph import Graph, Op
from quantforge.targets import load_target
from quantforge.targets.limits import broken_limits
from vai_q_onnx.options import Options

NAMED_OPS = 4
LARGEST_POOL = 512  # elements of a window; SplitLargeKernelPool splits above
_SWITCHES = {
    "shift_cut": "AdjustShiftCut",
    "shift_read": "AdjustShiftRead",
    "shift_write": "AdjustShiftWrite",
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
        found += [_pending(name, ops) for name, ops in _steps(graph, options)]
        found += [_out_of_reach(name, rows) for name, rows in _broken(graph, options)]
    return tuple(found)


def _counted(ops: list[str]) -> str:
    more = f" and {len(ops) - NAMED_OPS} more" if len(ops) > NAMED_OPS else ""
    return f"{', '.join(ops[:NAMED_OPS])}{more}"


def _out_of_reach(option: str, rows: list[str]) -> Diagnostic:
    fix = f"extra_options={{{option!r}: False}} once this is known, or keep these operators in float"
    return Diagnostic("Q0715", f"option {option}", _counted(rows), "shifts within their bounds", fix)


def _pending(option: str, ops: list[str]) -> Diagnostic:
    found = _counted(ops)
    fix = f"extra_options={{{option!r}: False}} once this is known; the model is valid without it"
    return Diagnostic("Q0705", f"option {option}", found, "this step, which is not built yet", fix)


def _steps(graph: Graph, options: Options) -> Iterator[tuple[str, list[str]]]:
    """The steps that the original would make, each with the operators it would change."""
    quantized = [
        op for op in graph.ops if any(graph.value(name).quant is not None for name in op.outputs if name)
    ]
    for option, applies in _CHANGES.items():
        if options.extra[option]:
            found = [op.name for op in quantized if applies(graph, op)]
            if found:
                yield option, found


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


def _is_large(graph: Graph, op: Op) -> bool:
    sides = _window(graph, op)
    return op.kind == "avgpool2d" and bool(op.attrs.get("global")) and sides[0] * sides[-1] > LARGEST_POOL


def _window(graph: Graph, op: Op) -> tuple[int, ...]:
    """Sides of the window of a pool; 0 for those that are not known."""
    kernel = op.attrs.get("kernel", ())
    if isinstance(kernel, tuple) and kernel and not op.attrs.get("global"):
        return tuple(int(side) for side in kernel)
    shape = graph.value(op.inputs[0]).shape or ()
    return tuple(side if isinstance(side, int) else 0 for side in shape[2:]) or (0,)


_CHANGES: dict[str, Callable[[Graph, Op], bool]] = {"SplitLargeKernelPool": _is_large}

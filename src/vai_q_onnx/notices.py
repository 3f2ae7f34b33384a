"""What the original would have done to this model and this version does not do yet, said as notices.

Under ``enable_dpu`` the original imitates a DPU in the float operators and moves positions until every shift fits.
These steps are on by default, so a script does not ask for them by name; where the model contains an operator that
one of them would change, a notice (Q0705) names the option and the operators. Options that were set but have nothing
to act on get Q0707.
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
_DPU_AVERAGES = (1, 2, 4, 8)  # sides of windows whose mean is an exact shift
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
    return tuple(found)


def _pending(option: str, ops: list[str]) -> Diagnostic:
    more = f" and {len(ops) - NAMED_OPS} more" if len(ops) > NAMED_OPS else ""
    found = f"{', '.join(ops[:NAMED_OPS])}{more}"
    fix = f"extra_options={{{option!r}: False}} once this is known; the model is valid without it"
    return Diagnostic("Q0705", f"option {option}", found, "this step, which is not built yet", fix)


def _steps(graph: Graph, options: Options) -> Iterator[tuple[str, list[str]]]:
    """The steps that the original would make, each with the operators it would change."""
    quantized = [
        op for op in graph.ops if any(graph.value(name).quant is not None for name in op.outputs if name)
    ]
    for option, applies in _CHANGES.items():
        simulated = option in _SIMULATION
        if options.extra[option] and (options.extra["SimulateDPU"] or not simulated):
            found = [op.name for op in quantized if applies(graph, op)]
            if found:
                yield option, found
    shifts = load_target("dpu").shifts
    checked = options.extra["IPULimitationCheck"] and options.extra["NPULimitationCheck"]
    if shifts is None or not checked:
        return
    broken = broken_limits(graph, shifts)
    for shift, option in _SWITCHES.items():
        rows = [str(limit) for limit in broken if limit.shift == shift]
        if rows and options.extra[option]:
            yield option, rows


def _of_kind(*kinds: str) -> Callable[[Graph, Op], bool]:
    return lambda graph, op: op.kind in kinds


def _rounds_its_mean(graph: Graph, op: Op) -> bool:
    return op.kind.startswith("avgpool") and any(side not in _DPU_AVERAGES for side in _window(graph, op))


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


_SIMULATION: dict[str, Callable[[Graph, Op], bool]] = {
    "ConvertLeakyReluToDPUVersion": _of_kind("leaky-relu"),
    "ConvertSigmoidToHardSigmoid": _of_kind("sigmoid"),
    "ConvertHardSigmoidToDPUVersion": _of_kind("hard-sigmoid"),
    "ConvertAvgPoolToDPUVersion": _rounds_its_mean,
    "ConvertReduceMeanToDPUVersion": _of_kind("reduction-mean"),
}
_CHANGES: dict[str, Callable[[Graph, Op], bool]] = {
    "ConvertBNToConv": _of_kind("batchnorm"),
    "SplitLargeKernelPool": _is_large,
    **_SIMULATION,
    "AdjustHardSigmoid": _of_kind("hard-sigmoid"),
    "AdjustShiftSwish": _of_kind("swish", "hard-swish"),
}

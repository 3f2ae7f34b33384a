"""In a quantized model a DPU reads and writes signed bytes only: what an operator lacks for that.

Rounding commutes with operators that move or pick numbers, so that the `fix` may be found behind them, or in front.
"""

from __future__ import annotations

from collections.abc import Mapping

from quantforge.inspection.operators import MOVING
from quantforge.inspection.results import Reason
from quantforge.inspection.view import View
from quantforge.xmodel.model import XOp

_FIX = "quantize the model with recipe='dpu-cnn', and leave no operator out of it"


def rounding_reason(view: View, op: XOp, fused: Mapping[str, str]) -> Reason | None:
    """Why an operator of a quantized model cannot work on bytes; None when it can.

    Args:
        view: A model with fix operators.
        op: An operator that its limits allow on the DPU.
        fused: Activations and pads, and the operator that does them.
    """
    for key, names in op.args.items():
        for name in names:
            if key != "input" and not view.is_const(name):
                continue
            problem = _input_problem(view, op, name, fused)
            if problem is not None:
                return _reason(problem)
    if view.chain_start(op) is not None:
        return None  # the start answers for the rounding behind it
    problem = _output_problem(view, op, fused)
    return None if problem is None else _reason(problem)


def _reason(found: str) -> Reason:
    return Reason("quantization", "fix", found, "signed integers of 8 bits on both sides", _FIX)


def _input_problem(view: View, op: XOp, name: str, fused: Mapping[str, str]) -> str | None:
    """What is wrong with a value that `op` reads."""
    producer = view.op(name)
    if producer.kind == "fix":
        return _grid_problem(view, producer)
    if fused.get(op.name) == name or view.chain_start(op) is not None:
        return None
    if producer.kind in MOVING or fused.get(name) == op.name:
        found = (_input_problem(view, producer, source, fused) for source in producer.args.get("input", ()))
        return next((problem for problem in found if problem is not None), None)
    if op.kind in MOVING and view.only_reader(op.name) is not None:
        return None  # the rounding behind it may be done before it; the producer answers for itself
    return f"its input {name!r} is not quantized"


def _output_problem(view: View, op: XOp, fused: Mapping[str, str]) -> str | None:
    """What is wrong with the value that `op` gives."""
    if op.kind in MOVING and _fixed_before(view, op):
        return None
    follower = view.only_reader(op.name)
    if op.name in _returned(view) and follower is None:
        return "its output is not quantized"
    if follower is None:
        readers = view.readers[op.name]
        if not readers:
            return "its output is not quantized"
        return f"its unquantized output is read by {', '.join(map(repr, readers))}"
    if follower.kind == "fix":
        return _grid_problem(view, follower)
    if fused.get(follower.name) == op.name or view.chain_start(follower) is op or follower.kind in MOVING:
        return _output_problem(view, follower, fused)
    return f"its output goes unquantized into {follower.name!r} ({follower.kind})"


def _fixed_before(view: View, op: XOp) -> bool:
    """Whether a moving operator reads rounded numbers of one grid, so that it gives such numbers."""
    grids = set()
    for name in op.args.get("input", ()):
        source = view.op(name)
        if source.kind in MOVING and _fixed_before(view, source):
            source = _first_fix(view, source)
        if source.kind != "fix":
            return False
        grids.add(view.grid(source))
    return len(grids) == 1 and None not in grids


def _first_fix(view: View, op: XOp) -> XOp:
    while op.kind != "fix":
        op = view.op(op.args["input"][0])
    return op


def _grid_problem(view: View, fix: XOp) -> str | None:
    grid = view.grid(fix)
    if grid is None:
        return f"the fix {fix.name!r} does not say fix_point, bit_width and if_signed"
    return None if grid.on_dpu else f"{fix.name!r} rounds to {grid}"


def _returned(view: View) -> tuple[str, ...]:
    attr = view.model.attrs.get("return_ops")
    return () if attr is None else tuple(attr.value)

"""Positions that the shift registers of a device's elementwise unit ask for.

With positions i of the inputs and o of the output of a sum or a product:

    sum       shift_read  = max(i) - min(i)  in [0, 7]      above: the larger is lowered
              shift_write = min(i) - o       in [-7, 25]    outside: o is moved
    product   shift_write = sum(i) - o       in [0, 32]     outside: o is moved
    x times a hard sigmoid of x              in [0, 15]     outside: o is moved

Source: shift limits of the ONNX quantizer of Vitis AI 3.5 (AdjustShiftRead, AdjustShiftWrite, AdjustShiftSwish).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quantforge.graph import Graph, Op
from quantforge.quantization.recipe import ShiftLimits

SUMS = ("eltwise-add", "eltwise-sub")
PRODUCTS = ("eltwise-mul",)
MOST_READ = 7
WRITE_SUM = (-7, 25)
WRITE_PRODUCT = (0, 32)
WRITE_SWISH = (0, 15)
_GATES = ("hard-sigmoid", "sigmoid")  # a sigmoid stands for the hard one that it becomes


@dataclass(frozen=True)
class Move:
    """A tensor, the position it is to have, and why."""

    name: str
    position: int
    why: str


def elementwise_moves(
    graph: Graph, op: Op, ins: dict[str, int], out: tuple[str, int] | None, limits: ShiftLimits
) -> Iterator[Move]:
    """What has to move for the shifts of `op`, a sum or a product.

    Args:
        graph: Where it is.
        op: The operator.
        ins: Positions of its inputs, by name; of all of them, or there is nothing to say.
        out: Name and position of what it computes, behind the activation that is fused into it.
        limits: Which shifts are looked at.
    """
    if op.kind in SUMS and limits.read:
        most = min(ins.values()) + MOST_READ
        for name, position in ins.items():
            if position > most:
                yield Move(name, most, f"shift_read was {position - min(ins.values())}")
    bounds = _write_bounds(graph, op, limits)
    if out is None or bounds is None:
        return
    start = min(ins.values()) if op.kind in SUMS else sum(ins[name] for name in op.inputs)
    shift = start - out[1]
    reached = min(max(shift, bounds[0]), bounds[1])
    if reached != shift:
        yield Move(out[0], start - reached, f"shift_write was {shift}")


def _write_bounds(graph: Graph, op: Op, limits: ShiftLimits) -> tuple[int, int] | None:
    if op.kind in SUMS:
        return WRITE_SUM if limits.write else None
    if limits.hard_swish and _is_swish(graph, op):
        return WRITE_SWISH
    return WRITE_PRODUCT if limits.write else None


def _is_swish(graph: Graph, op: Op) -> bool:
    """Whether `op` multiplies x by a hard sigmoid of x."""
    for name, gated in (op.inputs, op.inputs[::-1]):
        gate = graph.producer(gated)
        if gate is not None and gate.kind in _GATES and gate.inputs[0] == name:
            return True
    return False

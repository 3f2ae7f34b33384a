"""Shifts that a target cannot make.

On a power-of-two device every rescaling is a shift, and its width follows from the positions f of the tensors:

    convolution, matrix product   cut        = f_in + f_weights - f_out
    addition, subtraction         read       = max(f_in) - min(f_in),   write = min(f_in) - f_out
    product                       write      = sum(f_in) - f_out

Nothing is changed here: the caller decides what to do about it.
Source: IPULimitationCheck of the ONNX quantizer of Vitis AI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quantforge.graph import Graph, Op
from quantforge.numerics.positions import position_of_scale
from quantforge.targets.load import Bounds, Shifts

_SUMS = ("eltwise-add", "eltwise-sub")


@dataclass(frozen=True)
class BrokenLimit:
    """A shift outside its bounds: the operator, which shift, its width in bits and the bounds."""

    op: str
    shift: str
    bits: int
    bounds: Bounds

    def __str__(self) -> str:
        return f"{self.op}: {self.shift} of {self.bits} bits, not {self.bounds[0]}..{self.bounds[1]}"


def broken_limits(graph: Graph, shifts: Shifts) -> tuple[BrokenLimit, ...]:
    """All shifts of the quantized `graph` that lie outside the bounds, in graph order.

    Operators of which a tensor has no power-of-two scale are passed over.
    """
    return tuple(
        BrokenLimit(op.name, name, bits, bounds)
        for op in graph.ops
        for name, bits, bounds in _shifts_of(graph, op, shifts)
        if not bounds[0] <= bits <= bounds[1]
    )


def _shifts_of(graph: Graph, op: Op, shifts: Shifts) -> Iterator[tuple[str, int, Bounds]]:
    """The shifts `op` needs: name, bits, bounds."""
    weighted = "conv" in op.kind or op.kind == "inner-product"
    if not weighted and op.kind not in (*_SUMS, "eltwise-mul"):
        return
    ins = [_position(graph, name) for name in op.inputs[:2]]
    found = [position for position in ins if position is not None]
    out = _output_position(graph, op)
    if len(found) < 2 or out is None:
        return
    if weighted:
        yield "shift_cut", sum(found) - out, shifts.cut
    elif op.kind in _SUMS:
        yield "shift_read", max(found) - min(found), shifts.read
        yield "shift_write", min(found) - out, shifts.write_add
    else:
        yield "shift_write", sum(found) - out, shifts.write_mul


def _output_position(graph: Graph, op: Op) -> int | None:
    """Position behind `op`, which sits behind the activation where one is fused."""
    name = op.outputs[0]
    readers = graph.consumers(name)
    if graph.value(name).quant is None and len(readers) == 1:
        name = readers[0].outputs[0]
    return _position(graph, name)


def _position(graph: Graph, name: str) -> int | None:
    spec = graph.value(name).quant if name else None
    return None if spec is None or len(spec.scale) > 1 else position_of_scale(spec.scale[0])

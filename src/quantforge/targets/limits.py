"""Shifts that a target cannot make.

On a power-of-two device every rescaling is a shift, and its width follows from the positions f of the tensors:

    convolution, matrix product   cut        = f_in + f_weights - f_out
    addition, subtraction         read       = max(f_in) - min(f_in),   write = min(f_in) - f_out
    product                       write      = sum(f_in) - f_out
    x times a hard sigmoid of x   swish      = sum(f_in) - f_out
    bias of a weighted operator   bias       = f_in + f_weights - f_bias
    hard sigmoid                  f_in, f_out, 14 + f_in - f_out

Nothing is changed here: the caller decides what to do about it.
Source: IPULimitationCheck of the ONNX quantizer of Vitis AI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quantforge.graph import Graph, Op
from quantforge.numerics.law import HARD_SIGMOID_SLOPE
from quantforge.numerics.positions import position_of_scale
from quantforge.targets.load import Bounds, Shifts

_NARROW = 8  # bits of the biases that are shifted
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
    ins = [_position(graph, name) for name in op.inputs[:2]]
    found = [position for position in ins if position is not None]
    out = _output_position(graph, op)
    if op.kind == "hard-sigmoid":
        yield from _of_hard_sigmoid(ins[0], out, shifts)
    if len(found) < 2 or out is None:
        return
    if "conv" in op.kind or op.kind in ("inner-product", "matmul"):
        yield "shift_cut", sum(found) - out, shifts.cut
        yield from _of_bias(graph, op, sum(found), out, shifts)
    elif op.kind in _SUMS:
        yield "shift_read", max(found) - min(found), shifts.read
        yield "shift_write", min(found) - out, shifts.write_add
    elif op.kind == "eltwise-mul":
        swish = _is_swish(graph, op)
        bounds = shifts.write_swish if swish else shifts.write_mul
        yield "shift_swish" if swish else "shift_write", sum(found) - out, bounds


def _of_hard_sigmoid(
    position: int | None, out: int | None, shifts: Shifts
) -> Iterator[tuple[str, int, Bounds]]:
    if position is not None:
        yield "hard_sigmoid_in", position, shifts.sigmoid_in
    if out is not None:
        yield "hard_sigmoid_out", out, shifts.sigmoid_out
    if position is not None and out is not None:
        yield "hard_sigmoid", HARD_SIGMOID_SLOPE.shift + position - out, shifts.sigmoid


def _of_bias(
    graph: Graph, op: Op, accumulator: int, out: int, shifts: Shifts
) -> Iterator[tuple[str, int, Bounds]]:
    spec = graph.value(op.inputs[2]).quant if len(op.inputs) > 2 and op.inputs[2] else None
    position = None if spec is None or spec.format.bits > _NARROW else _position(graph, op.inputs[2])
    if position is None:
        return
    leaky = any(reader.kind == "leaky-relu" for reader in graph.consumers(op.outputs[0]))
    least = 0 if leaky else min(0, accumulator - out - shifts.cut[1])
    yield "shift_bias", accumulator - position, (max(least, shifts.bias[0]), shifts.bias[1])


def _is_swish(graph: Graph, op: Op) -> bool:
    """Whether `op` multiplies x by a hard sigmoid of x."""
    gates = [graph.producer(name) for name in op.inputs]
    sources = [gate.inputs[0] for gate in gates if gate is not None and gate.kind == "hard-sigmoid"]
    return any(source in op.inputs for source in sources)


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

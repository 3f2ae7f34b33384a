"""Sums and products of bytes.

Ties to even with two operands: QLinearAdd and QLinearMul, whose float32 arithmetic on powers of two is exact.
Everything else in floats with enough bits: cast, add or multiply, round, cast back.
"""

from __future__ import annotations

from quantforge.diagnostics import InputError
from quantforge.numerics.rounding import Rounding
from quantforge.runtime.fixed import fixed_of
from quantforge.runtime.kernels.finish import hard_sigmoid, nonlinear_of
from quantforge.runtime.lowering.builder import CONTRIB, Held, Lowering, bytes_of
from quantforge.runtime.lowering.finish import finish_real, limits_of, look_up, real_type, to_real
from quantforge.xmodel.model import XOp

QUICK_ACTIVATIONS = ("NONE", "RELU", "RELU6")


def lower_combine(low: Lowering, op: XOp) -> Held:
    """eltwise-fix and depthwise-fix."""
    operands = [low.input(op, i) for i in range(len(op.args["input"]))]
    kind = op.get("type", "MUL" if op.kind == "depthwise-fix" else "ADD")
    if kind not in ("ADD", "MUL"):
        raise InputError("Q1203", op.name, f"{op.kind} of type {kind!r}", "ADD or MUL", "leave it to the CPU")
    quick = _quick(low, op, operands, kind)
    if quick is not None:
        return quick
    return _sum(low, op, operands) if kind == "ADD" else _product(low, op, operands)


def lower_hard_sigmoid(low: Lowering, op: XOp) -> Held:
    """hard-sigmoid-fix: a table."""
    held, target = low.input(op), bytes_of(op)
    position = held.fixed.position
    return low.hold(op, look_up(low, held, target, lambda x: hard_sigmoid(x, position, target)))


def _quick(low: Lowering, op: XOp, operands: list[Held], kind: str) -> Held | None:
    """One quantized node; None where float32 would not be exact or the rounding is another."""
    target = bytes_of(op)
    if len(operands) != 2 or target.rounding is not Rounding.HALF_EVEN:
        return None
    if nonlinear_of(op) not in QUICK_ACTIVATIONS:
        return None
    positions = [held.fixed.position for held in operands]
    finest, total = max(positions), sum(positions)
    if kind == "ADD" and (finest - min(positions) > 12 or not -12 <= finest - target.position <= 12):
        return None
    if kind == "MUL" and not -16 <= total - target.position <= 16:
        return None  # beyond it -128 * -128 reaches 2**31, which the node's int32 does not hold
    builder = low.builder
    inputs = []
    for held in operands:
        scale = builder.constant(2.0**-held.fixed.position, "float32")
        inputs += [held.name, scale, builder.constant(held.zero, "uint8")]
    result = low.hold(op, "")
    inputs += [builder.constant(2.0**-target.position, "float32"), builder.constant(result.zero, "uint8")]
    name = builder.node("QLinearAdd" if kind == "ADD" else "QLinearMul", inputs, domain=CONTRIB)
    limits = limits_of(op, target)
    if limits != (-result.zero, 255 - result.zero):
        name = builder.clip(name, limits[0] + result.zero, limits[1] + result.zero, "uint8")
    return low.hold(op, name)


def _sum(low: Lowering, op: XOp, operands: list[Held]) -> Held:
    finest = max(held.fixed.position for held in operands)
    magnitude = sum(held.magnitude << (finest - held.fixed.position) for held in operands)
    dtype = _real(op, magnitude, finest)
    total: str | None = None
    for held in operands:
        term, up = to_real(low, held, dtype), finest - held.fixed.position
        term = low.builder.binary("Mul", term, 2.0**up, dtype) if up else term
        total = term if total is None else low.builder.node("Add", [total, term])
    return finish_real(low, op, total or "", finest, dtype)


def _product(low: Lowering, op: XOp, operands: list[Held]) -> Held:
    position, magnitude = 0, 1
    for held in operands:
        position, magnitude = position + held.fixed.position, magnitude * held.magnitude
    dtype = _real(op, magnitude, position)
    result = to_real(low, operands[0], dtype)
    for held in operands[1:]:
        result = low.builder.node("Mul", [result, to_real(low, held, dtype)])
    return finish_real(low, op, result, position, dtype)


def _real(op: XOp, magnitude: int, position: int) -> str:
    """A leaky slope needs nine bits more."""
    extra = 9 if nonlinear_of(op) == "LEAKYRELU" else 0
    shift = position - fixed_of(op).position
    return real_type(op, magnitude << extra, shift + extra)

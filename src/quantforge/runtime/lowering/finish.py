"""The last steps of an operator in the lowered graph, and the proofs that floats do them exactly.

relu and relu6 only narrow the limits: rounding is monotonic, so clamping before it and after it (at the rounded
limit) is the same. Reals carry an accumulator exactly as long as its bits fit the mantissa: 24 in float32, 53 in
float64. What has 256 possible inputs becomes a table made by the reference kernels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.numerics.law import LEAKY_RELU_SLOPE
from quantforge.numerics.rounding import Rounding, shift_right
from quantforge.runtime.fixed import Fixed, Int64Array
from quantforge.runtime.kernels.finish import hard_sigmoid, hard_sigmoid_input, hard_swish, nonlinear_of
from quantforge.runtime.lowering.builder import Builder, Held, Lowering, bytes_of, zero_of
from quantforge.xmodel.model import XOp

MANTISSA = {"float32": 24, "float64": 53}


def limits_of(op: XOp, target: Fixed) -> tuple[int, int]:
    """Smallest and largest integer after the fused activation."""
    name = nonlinear_of(op)
    low = max(target.low, 0) if name in ("RELU", "RELU6") else target.low
    if name != "RELU6":
        return low, target.high
    shift = -min(target.position, 16)
    return low, min(target.high, int(shift_right(6, shift, target.rounding)))


def real_type(op: XOp, magnitude: int, shift: int) -> str:
    """The float that does `finish_real` exactly for accumulators up to `magnitude`.

    The largest number in between is the accumulator plus 128.5 output steps.

    Raises:
        InputError: Q1204 when not even float64 does.
    """
    largest = magnitude + (129 << max(0, shift))
    for dtype, bits in MANTISSA.items():
        if largest < 1 << bits and magnitude << max(0, -shift) < 1 << 100:
            return dtype
    found = f"a shift of {shift} bits on accumulators up to {magnitude}"
    raise InputError("Q1204", op.name, found, "at most 53 bits in all", "check the fix points of the model")


def finish_real(low: Lowering, op: XOp, name: str, position: int, dtype: str) -> Held:
    """Activation, rounding and saturation of a float accumulator that stands for acc * 2**-position."""
    builder, nonlinear = low.builder, nonlinear_of(op)
    if nonlinear in ("HSIGMOID", "HSWISH"):
        inner = hard_sigmoid_input(op)
        held = Held(
            round_real(builder, name, position, inner, (inner.low, inner.high), dtype), inner, op.tensor.shape
        )
        return apply_hard(low, op, held)
    target = bytes_of(op)
    if nonlinear == "LEAKYRELU":
        slope = builder.binary("Mul", name, LEAKY_RELU_SLOPE.value, dtype)
        name, position = builder.node("Max", [name, slope]), position
        steps = position + LEAKY_RELU_SLOPE.shift - target.position
        rounded = round_real(builder, name, position, target, limits_of(op, target), dtype, steps > 0)
        return low.hold(op, rounded)
    return low.hold(op, round_real(builder, name, position, target, limits_of(op, target), dtype))


def round_real(
    builder: Builder,
    name: str,
    position: int,
    target: Fixed,
    limits: tuple[int, int],
    dtype: str,
    fractions: bool | None = None,
) -> str:
    """Bytes of `target` from a float at `position`; `fractions` says whether there is anything to round."""
    shift, zero = position - target.position, zero_of(target)
    if shift:
        name = builder.binary("Mul", name, 2.0**-shift, dtype)
    if shift > 0 if fractions is None else fractions:
        name = _rounded(builder, name, zero, target.rounding, dtype)
    elif zero:
        name = builder.binary("Add", name, zero, dtype)
    return builder.cast(builder.clip(name, limits[0] + zero, limits[1] + zero, dtype), "uint8")


def _rounded(builder: Builder, name: str, zero: int, rounding: Rounding, dtype: str) -> str:
    """round(x) + zero; zero is even, so ties to even may be settled after adding it."""
    if rounding is Rounding.HALF_UP:
        return builder.node("Floor", [builder.binary("Add", name, zero + 0.5, dtype)])
    if rounding is Rounding.HALF_EVEN:
        return builder.node("Round", [builder.binary("Add", name, zero, dtype) if zero else name])
    size = builder.node("Floor", [builder.binary("Add", builder.node("Abs", [name]), 0.5, dtype)])
    signed = builder.node("Mul", [builder.node("Sign", [name]), size])
    return builder.binary("Add", signed, zero, dtype)


def to_real(low: Lowering, held: Held, dtype: str) -> str:
    """The integers of a tensor as floats."""
    name = low.builder.cast(held.name, dtype)
    return low.builder.binary("Sub", name, held.zero, dtype) if held.zero else name


def look_up(low: Lowering, held: Held, target: Fixed, function: Callable[[Int64Array], Int64Array]) -> str:
    """Apply a function of the integer to every element through a table of 256 bytes."""
    integers = np.clip(np.arange(256) - held.zero, held.fixed.low, held.fixed.high)
    table = low.builder.constant(function(integers) + zero_of(target), "uint8")
    return low.builder.node("Gather", [table, low.builder.cast(held.name, "int32")])


def apply_hard(low: Lowering, op: XOp, held: Held) -> Held:
    """Hard sigmoid or hard swish behind the integers it starts from."""
    target, position = bytes_of(op), held.fixed.position
    hard = hard_swish if nonlinear_of(op) == "HSWISH" else hard_sigmoid
    return low.hold(op, look_up(low, held, target, lambda x: hard(x, position, target)))


def requantized(low: Lowering, op: XOp, held: Held) -> Held:
    """`held` in the fix point of the operator's tensor."""
    target = bytes_of(op)
    if target == held.fixed or (target.position, target.bits, target.signed) == (
        held.fixed.position,
        held.fixed.bits,
        held.fixed.signed,
    ):
        return low.hold(op, held.name)
    position = held.fixed.position
    return low.hold(op, look_up(low, held, target, lambda x: target.requantize(x, position)))

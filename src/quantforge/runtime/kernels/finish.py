"""The last steps of every computing operator: activation, one rounding shift, saturation.

An accumulator stands for acc * 2**-position. The activation comes before the rounding. Leaky ReLU has the slope
26/256 and hard-sigmoid 2731/16384, whatever the model said; both are exact here.
"""

from __future__ import annotations

import numpy as np

from quantforge.diagnostics import InputError, UnsupportedError
from quantforge.numerics.law import HARD_SIGMOID_SLOPE, LEAKY_RELU_SLOPE
from quantforge.runtime.fixed import LONGEST_SHIFT, Fixed, Int64Array, fixed_of
from quantforge.xmodel.model import XOp

NONLINEAR = ("NONE", "RELU", "RELU6", "LEAKYRELU", "HSIGMOID", "HSWISH")
UNSET = -128  # the definition's default of hsigmoid_in and the two shifts
SWISH_POSITION = 7  # fix point of the hard sigmoid inside a hard swish


def finish(op: XOp, acc: Int64Array, position: int) -> Int64Array:
    """Activation, rounding and saturation by the attributes of `op` and its tensor.

    Raises:
        InputError: Q1203 for incomplete attributes, Q1204 for shifts beyond exact 64-bit arithmetic.
        UnsupportedError: Q1202 for an activation that has no integer rule.
    """
    target, name = fixed_of(op), nonlinear_of(op)
    if name in ("HSIGMOID", "HSWISH"):
        inner = hard_sigmoid_input(op)
        x = inner.requantize(acc, position)
        hard = hard_sigmoid if name == "HSIGMOID" else hard_swish
        return hard(x, inner.position, target)
    if name == "RELU":
        acc = np.maximum(acc, 0)
    elif name == "RELU6":
        acc, position = clamp_at_six(op, acc, position)
    elif name == "LEAKYRELU":
        scaled = scale_up(op, acc, LEAKY_RELU_SLOPE.shift)
        acc = np.where(acc < 0, acc * LEAKY_RELU_SLOPE.numerator, scaled)
        position += LEAKY_RELU_SLOPE.shift
    return target.requantize(acc, position)


def nonlinear_of(op: XOp) -> str:
    """The fused activation; an empty text means none.

    Raises:
        UnsupportedError: Q1202 for one without an integer rule.
    """
    name = str(op.get("nonlinear", "NONE") or "NONE")
    if name not in NONLINEAR:
        fix = "use a fixed slope, or leave the activation to the CPU"
        raise UnsupportedError("Q1202", op.name, f"nonlinear {name!r}", f"one of {', '.join(NONLINEAR)}", fix)
    return name


def clamp_at_six(op: XOp, acc: Int64Array, position: int) -> tuple[Int64Array, int]:
    """Between 0 and 6, on bits fine enough to hold 6 exactly."""
    if position < 0:
        acc, position = scale_up(op, acc, -position), 0
    return np.clip(acc, 0, 6 << min(position, LONGEST_SHIFT + 11)), position


def hard_sigmoid_input(op: XOp) -> Fixed:
    """The int8 tensor between a convolution and its fused hard sigmoid.

    Raises:
        InputError: Q1203 when the operator does not say where its binary point is.
    """
    position = op.get("hsigmoid_in", UNSET)
    if position == UNSET:
        found = f"nonlinear {op.get('nonlinear')} without hsigmoid_in"
        raise InputError("Q1203", op.name, found, "the fix point in front of it", "compile again")
    return Fixed(int(position), rounding=fixed_of(op).rounding)


def hard_sigmoid(x: Int64Array, position: int, target: Fixed) -> Int64Array:
    """clamp(x + 3, 0, 6) * 2731 / 16384."""
    lift = max(0, -position)
    one = 1 << (position + lift)
    clamped = np.clip((x << lift) + 3 * one, 0, 6 * one)
    return target.requantize(
        clamped * HARD_SIGMOID_SLOPE.numerator, position + lift + HARD_SIGMOID_SLOPE.shift
    )


def hard_swish(x: Int64Array, position: int, target: Fixed) -> Int64Array:
    """x times its hard sigmoid, which is an int8 of its own with 7 fractional bits."""
    gate = hard_sigmoid(x, position, Fixed(SWISH_POSITION, rounding=target.rounding))
    return target.requantize(x * gate, position + SWISH_POSITION)


def scale_up(op: XOp, acc: Int64Array, bits: int) -> Int64Array:
    """acc * 2**bits, refused where it might leave 62 bits.

    Raises:
        InputError: Q1204 with the shift and the largest accumulator.
    """
    largest = int(np.abs(acc).max(initial=0))
    if largest << bits >= 1 << 62:
        found = f"a shift of {bits} bits on accumulators up to {largest}"
        raise InputError(
            "Q1204", op.name, found, "at most 62 bits in all", "check the fix points of the model"
        )
    return acc << bits

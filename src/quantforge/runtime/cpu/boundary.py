"""Where floats and fixed-point integers meet: fix, float2fix, fix2float, cast."""

from __future__ import annotations

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.numerics.rounding import round_array
from quantforge.runtime.fixed import ROUND_MODES, Array, Fixed
from quantforge.xmodel.model import DataType, XOp

Arrays = dict[str, list[Array]]


def meaning_of(op: XOp) -> Fixed:
    """The fixed-point form in the operator's own attributes.

    Raises:
        InputError: Q1201 when they are missing or unknown.
    """
    position, bits = op.get("fix_point"), op.get("bit_width", 8)
    mode = op.get("round_mode", "DPU_ROUND")
    if position is None or mode not in ROUND_MODES or not 1 < bits <= 32:
        found = f"{op.kind} with fix_point {position}, bit_width {bits}, round_mode {mode!r}"
        raise InputError(
            "Q1201", op.name, found, "a fix point and a known rounding", "compile the model again"
        )
    return Fixed(int(position), int(bits), bool(op.get("if_signed", True)), ROUND_MODES[mode])


def fix(op: XOp, arrays: Arrays) -> Array:
    """Round and saturate to fixed point, and back to float32."""
    fixed = meaning_of(op)
    return np.ldexp(_integers(arrays["input"][0], fixed), -fixed.position)


def float2fix(op: XOp, arrays: Arrays) -> Array:
    """Round and saturate to integers in the type of the output tensor."""
    fixed = meaning_of(op)
    dtype = op.tensor.dtype.numpy or np.dtype(np.int8 if fixed.signed else np.uint8)
    return _integers(arrays["input"][0], fixed).astype(dtype)


def fix2float(op: XOp, arrays: Arrays) -> Array:
    """Integers times 2**-fix_point."""
    return np.ldexp(arrays["input"][0].astype(np.float32), -meaning_of(op).position)


def cast(op: XOp, arrays: Arrays) -> Array:
    """To another element type; a float becomes an integer by dropping its fraction."""
    wanted = str(op.get("data_type", op.tensor.dtype))
    try:
        dtype = DataType.parse(wanted).numpy
    except ValueError:
        dtype = None
    if dtype is None:
        raise InputError("Q1203", op.name, f"cast to {wanted!r}", "a type such as FLOAT32", "compile again")
    return arrays["input"][0].astype(dtype)


def _integers(x: Array, fixed: Fixed) -> Array:
    """The integers as float32, or float64 where a format is wider than 24 bits; a power of two scales exactly."""
    wide = np.float32 if fixed.bits <= 24 else np.float64
    scaled = np.ldexp(x.astype(wide, copy=False), fixed.position)
    return np.clip(round_array(scaled, fixed.rounding), wide(fixed.low), wide(fixed.high))

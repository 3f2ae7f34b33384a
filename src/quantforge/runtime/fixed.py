"""How the integers of a tensor are meant: fractional bits, width, sign, and how they were rounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantforge.diagnostics import InputError
from quantforge.numerics.rounding import Rounding, shift_right
from quantforge.xmodel.model import XOp, value_of

Array = NDArray[Any]
Int64Array = NDArray[np.int64]
Read = Callable[[str], XOp]

ROUND_MODES = {
    "DPU_ROUND": Rounding.HALF_UP,
    "PY3_ROUND": Rounding.HALF_EVEN,
    "STD_ROUND": Rounding.HALF_AWAY,
}
LONGEST_SHIFT = 48  # far beyond what a DPU shifts by, and the bits of an int64 are enough for it


@dataclass(frozen=True)
class Fixed:
    """The real number is integer * 2**-position; integers lie in [low, high].

    >>> Fixed(4).low, Fixed(4).high, Fixed(4, signed=False).high
    (-128, 127, 255)
    """

    position: int
    bits: int = 8
    signed: bool = True
    rounding: Rounding = Rounding.HALF_UP

    @property
    def low(self) -> int:
        """Smallest integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest integer."""
        return (1 << (self.bits - int(self.signed))) - 1

    def saturate(self, integers: Int64Array) -> Int64Array:
        """What lies outside becomes the nearest limit."""
        return np.clip(integers, self.low, self.high)

    def requantize(self, integers: Int64Array, position: int) -> Int64Array:
        """From `position` fractional bits to these: one rounding shift, then saturation."""
        return self.saturate(shift_right(integers, position - self.position, self.rounding))


def fixed_of(op: XOp) -> Fixed:
    """The fixed-point reading of an operator's tensor.

    Raises:
        InputError: Q1201 when the tensor has no fix point, or an unknown rounding or width.
    """
    tensor = op.tensor
    position = tensor.fix_point
    if position is None:
        found = f"tensor {tensor.name!r} of type {tensor.dtype} without fix_point"
        raise InputError("Q1201", op.name, found, "a fixed-point tensor", "compile the quantized model again")
    mode = value_of(tensor.attrs, "round_mode", "DPU_ROUND")
    bits = value_of(tensor.attrs, "bit_width", tensor.dtype.bits)
    if mode not in ROUND_MODES or not 1 < bits <= 32:
        found = f"round_mode {mode!r} and bit_width {bits} on tensor {tensor.name!r}"
        expected = f"one of {', '.join(ROUND_MODES)} and 2 to 32 bits"
        raise InputError("Q1201", op.name, found, expected, "compile the quantized model again")
    signed = bool(value_of(tensor.attrs, "if_signed", tensor.dtype.letters != "XUINT"))
    return Fixed(int(position), int(bits), signed, ROUND_MODES[mode])


def same_position(op: XOp, read: Read) -> None:
    """Refuse a copying operator whose inputs and output do not share one fix point.

    Raises:
        InputError: Q1203 naming the first input that differs.
    """
    if not op.tensor.dtype.fixed:  # indices of an argmax on their way out
        return
    target = fixed_of(op)
    for name in op.args.get("input", ()):
        source = fixed_of(read(name))
        if (source.position, source.signed) != (target.position, target.signed):
            found = f"fix point {source.position} at {name!r} and {target.position} at the output"
            fix = "give all of them one fix point when quantizing"
            raise InputError("Q1203", op.name, found, f"one fix point: {op.kind} has no shift", fix)

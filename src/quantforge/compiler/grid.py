"""The grid of a quantized tensor: which multiples of a power of two its numbers are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.graph import Array
from quantforge.numerics.rounding import Rounding, round_array
from quantforge.xmodel.model import Attr, Attrs, DataType, XOp, value_of

ROUNDINGS = {
    "DPU_ROUND": Rounding.HALF_UP,
    "PY3_ROUND": Rounding.HALF_EVEN,
    "STD_ROUND": Rounding.HALF_AWAY,
}
_ATTRS = ("fix_point", "bit_width", "if_signed", "round_mode")


@dataclass(frozen=True)
class Grid:
    """Numbers are integer * 2**-position; integers have `bits` bits, and `rounding` says how they were found.

    Two grids whose numbers are the same may differ in `rounding`, which is a property of the step onto the grid.
    """

    position: int
    bits: int = 8
    signed: bool = True
    rounding: str = "DPU_ROUND"

    @classmethod
    def of(cls, op: XOp) -> Grid:
        """The grid onto which a fix, float2fix or fix2float operator says it rounds.

        Raises:
            InputError: Q1100 when one of the four attributes is missing or has no meaning.
        """
        found = {name: value_of(op.attrs, name) for name in _ATTRS}
        missing = [name for name, value in found.items() if value is None]
        if missing:
            raise _incomplete(op, f"no {' and no '.join(missing)}")
        if found["round_mode"] not in ROUNDINGS:
            raise _incomplete(op, f"round_mode {found['round_mode']!r}")
        if not 1 < int(found["bit_width"]) <= 32 or not -128 < int(found["fix_point"]) < 128:
            raise _incomplete(op, f"fix_point {found['fix_point']} and bit_width {found['bit_width']}")
        return cls(*(found[name] for name in _ATTRS))

    @property
    def on_dpu(self) -> bool:
        """Whether a DPU has registers for these integers: signed bytes."""
        return self.bits == 8 and self.signed

    @property
    def numbers(self) -> tuple[int, int, bool]:
        """What says which numbers lie on the grid."""
        return self.position, self.bits, self.signed

    @property
    def dtype(self) -> DataType:
        """The element type of a tensor of these integers."""
        return DataType("XINT" if self.signed else "XUINT", self.bits)

    def attrs(self) -> Attrs:
        """The attributes of a tensor on this grid, and of the operators that step onto it and off it."""
        return {
            "fix_point": Attr("int32", self.position),
            "bit_width": Attr("int32", self.bits),
            "if_signed": Attr("bool", self.signed),
            "round_mode": Attr("string", self.rounding),
        }

    def integers(self, data: Array) -> Array:
        """clip(round(x * 2**position)), exactly; bytes where 8 bits are enough.

        >>> Grid(2).integers(np.array([0.124, 0.125, -40.0])).tolist()
        [0, 1, -128]
        """
        scaled = np.ldexp(np.asarray(data, np.float64), self.position)
        low = -(1 << (self.bits - 1)) if self.signed else 0
        high = (1 << (self.bits - int(self.signed))) - 1
        rounded = np.clip(round_array(scaled, ROUNDINGS[self.rounding]), low, high)
        width = next(bits for bits in (8, 16, 32) if self.bits <= bits)
        return rounded.astype(f"{'i' if self.signed else 'u'}{width // 8}")


def _incomplete(op: XOp, found: str) -> InputError:
    return InputError(
        "Q1100",
        op.name,
        f"{op.kind} with {found}",
        "fix_point, bit_width, if_signed and round_mode",
        "write the quantized model again; each fix operator says how it rounds",
    )

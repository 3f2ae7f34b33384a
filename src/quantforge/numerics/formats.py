"""Number formats: integers of 2 to 32 bits, float16 and bfloat16.

A format is a value: it says which numbers exist, not how a tensor is scaled (that is `QuantSpec`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantforge.diagnostics import InputError


@dataclass(frozen=True)
class IntFormat:
    """Integers of `bits` bits; `narrow` drops the most negative value so that the range is symmetric.

    >>> IntFormat(8).qmin, IntFormat(8).qmax, IntFormat(8, narrow=True).qmin, IntFormat(4, signed=False).qmax
    (-128, 127, -127, 15)
    """

    bits: int
    signed: bool = True
    narrow: bool = False

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 32:
            raise InputError(
                "Q0301", "IntFormat", f"{self.bits} bits", "2 to 32 bits", "use float16 or float32"
            )
        if self.narrow and not self.signed:
            raise InputError(
                "Q0302", "IntFormat", "an unsigned narrow range", "narrow only with signed", "drop narrow"
            )

    @property
    def qmin(self) -> int:
        """Smallest representable integer."""
        return (-(1 << (self.bits - 1)) + int(self.narrow)) if self.signed else 0

    @property
    def qmax(self) -> int:
        """Largest representable integer."""
        return (1 << (self.bits - int(self.signed))) - 1

    @property
    def storage(self) -> np.dtype[Any]:
        """The smallest NumPy integer type that holds every value."""
        width = 8 if self.bits <= 8 else 16 if self.bits <= 16 else 32
        return np.dtype(f"{'' if self.signed else 'u'}int{width}")

    def __str__(self) -> str:
        return f"{'' if self.signed else 'u'}int{self.bits}{'n' if self.narrow else ''}"


@dataclass(frozen=True)
class FloatFormat:
    """A binary float with `exponent_bits` and `mantissa_bits` (stored, without the leading one)."""

    name: str
    exponent_bits: int
    mantissa_bits: int

    @property
    def bits(self) -> int:
        """Width of one number in bits."""
        return 1 + self.exponent_bits + self.mantissa_bits

    def __str__(self) -> str:
        return self.name


FLOAT16 = FloatFormat("float16", 5, 10)
BFLOAT16 = FloatFormat("bfloat16", 8, 7)
INT8 = IntFormat(8)
UINT8 = IntFormat(8, signed=False)
INT16 = IntFormat(16)
UINT16 = IntFormat(16, signed=False)
INT32 = IntFormat(32)

Format = IntFormat | FloatFormat


def parse_format(text: str) -> Format:
    """Read the text form of a format: ``int8``, ``uint4``, ``int8n`` (narrow), ``float16``, ``bfloat16``.

    >>> parse_format("uint8") == UINT8, str(parse_format("int6n"))
    (True, 'int6n')

    Raises:
        InputError: Q0303 when the text names no format.
    """
    for float_format in (FLOAT16, BFLOAT16):
        if text == float_format.name:
            return float_format
    match = re.fullmatch(r"(u?)int(\d+)(n?)", text)
    if match is None:
        raise InputError(
            "Q0303", "format", repr(text), "int2..int32, uint2..uint32, float16 or bfloat16", "int8"
        )
    return IntFormat(int(match[2]), signed=not match[1], narrow=bool(match[3]))

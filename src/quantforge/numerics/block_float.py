"""Block formats: numbers that share a scale with their neighbours along one axis.

A block of elements has one power of two, taken from its largest magnitude (2**E is the largest power of two that
is not above it), and each element a sign and a few bits.

    integers   y = min(round(|x| / step), 2**m - 1) * step * sign(x),   step = 2**(E + 1 - m - D)
    floats     y = nearest element of x / X, times X,                   X = 2**(E - largest exponent of an element)

* ``mx3`` to ``mx9``: shared microexponents ("With Shared Microexponents, A Little Shifting Goes a Long Way", ISCA
  2023; the BFP of UG1414, "Using the New Data Format"). Blocks of 16; each pair of elements may lower its step by one
  bit, D = 1, where both lie below 2**E. m = 7 for mx9, 4 for mx6, 2 for mx4. Ties go away from zero, subnormal
  numbers become 0, and an inf or NaN makes its whole block NaN.
* ``bfp10`` to ``bfp24``: plain block floating point with m = width - 9 and D = 0, blocks of 8; ``msfp10`` to
  ``msfp24`` are the same in blocks of 16. Ties to even; inf and NaN stay as they are and do not count for E.
* ``mxint8``, ``mxfp8_e4m3``, ``mxfp8_e5m2``, ``mxfp6_e2m3``, ``mxfp6_e3m2``, ``mxfp4_e2m1``: OCP Microscaling
  Formats, specification 1.0. Blocks of 32 with a scale of 8 exponent bits (2**-127 to 2**127); elements round to
  nearest, ties to even, and saturate (mxint8 to +-127/64); an inf or NaN makes its whole block NaN.

The last block of an axis is filled up with zeros. Zeros come out positive. Everything is computed in float32, where
all these steps are exact.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quantforge.diagnostics import InputError
from quantforge.numerics.rounding import FloatArray, Rounding, round_moderate

Floats = NDArray[np.float32]

_SMALLEST_NORMAL = 2.0**-126
_SMALLEST_SCALE = 2.0**-127  # of an OCP scale, and of plain block floating point
_EXPONENT_BITS = np.uint32(0x7F800000)
_WIDTHS = {"mx": range(10, 17), "bfp": range(10, 25)}
_OCP_ELEMENTS = {(0, 7), (4, 3), (5, 2), (2, 3), (3, 2), (2, 1)}  # exponent and fraction bits
_ROUNDINGS = (Rounding.HALF_EVEN, Rounding.HALF_AWAY, Rounding.TOWARD_ZERO)


class BlockKind(str, Enum):
    """The families of block formats; they differ in what they do with subnormal and infinite numbers."""

    PLAIN = "bfp"
    MICROEXPONENT = "mx"
    OCP = "ocp"


@dataclass(frozen=True)
class BlockFormat:
    """One block format, compared by value.

    Attributes:
        kind: The family.
        mantissa_bits: Bits of an element behind its sign; of a float element the stored fraction.
        block_size: Elements that share a scale.
        exponent_bits: Exponent bits of each element; 0 for integers.
        sub_block_size: Elements that share a shift.
        shift_bits: Bits of that shift: D is at most 2**shift_bits - 1.
        rounding: Half-even, half-away or toward-zero.

    >>> parse_block_format("mx6").mantissa_bits, parse_block_format("mx6").bits_per_element
    (4, 6.0)
    """

    kind: BlockKind
    mantissa_bits: int
    block_size: int
    exponent_bits: int = 0
    sub_block_size: int = 1
    shift_bits: int = 0
    rounding: Rounding = Rounding.HALF_EVEN

    def __post_init__(self) -> None:
        if self.kind is BlockKind.OCP:
            if (self.exponent_bits, self.mantissa_bits) not in _OCP_ELEMENTS:
                _refuse(
                    f"e{self.exponent_bits}m{self.mantissa_bits}", "an element of OCP Microscaling Formats"
                )
        elif self.exponent_bits or self.mantissa_bits + 9 not in _WIDTHS[self.kind.value]:
            widths = _WIDTHS[self.kind.value]
            _refuse(f"{self.mantissa_bits + 9} bits", f"integers of {widths.start} to {widths.stop - 1} bits")
        if self.block_size < 1 or self.sub_block_size < 1 or self.block_size % self.sub_block_size:
            found = f"blocks of {self.block_size}, sub-blocks of {self.sub_block_size}"
            _refuse(found, "blocks made of whole sub-blocks")
        if self.shift_bits not in range(5) or (self.kind is not BlockKind.MICROEXPONENT and self.shift_bits):
            _refuse(f"{self.shift_bits} shift bits", "1 to 4 with shared microexponents, otherwise 0")
        if self.rounding not in _ROUNDINGS:
            _refuse(f"rounding {self.rounding}", ", ".join(map(str, _ROUNDINGS)))

    @property
    def bits_per_element(self) -> float:
        """Storage of one element with its share of scale and shifts."""
        shared = 8 / self.block_size + self.shift_bits / self.sub_block_size
        return 1 + self.exponent_bits + self.mantissa_bits + shared

    @property
    def largest(self) -> int:
        """The largest element of an integer format, in steps."""
        return (1 << self.mantissa_bits) - 1

    @property
    def smallest_power(self) -> float:
        """The smallest 2**E that a block may have."""
        if self.kind is BlockKind.MICROEXPONENT:
            return _SMALLEST_NORMAL
        return _SMALLEST_SCALE * 2.0 ** self.exponent_range[1]

    @property
    def exponent_range(self) -> tuple[int, int]:
        """Exponents of the normal elements of a float format; (0, 0) for integers.

        Only e5m2 keeps the top exponent for inf and NaN.
        """
        if not self.exponent_bits:
            return 0, 0
        bias = (1 << (self.exponent_bits - 1)) - 1
        return 1 - bias, (1 << self.exponent_bits) - 1 - bias - int(self.exponent_bits == 5)

    @property
    def largest_float(self) -> float:
        """The largest element of a float format: 448 for e4m3, whose highest pattern is NaN."""
        ones = 2 if (self.exponent_bits, self.mantissa_bits) == (4, 3) else 1
        return float((2.0 - ones * 2.0**-self.mantissa_bits) * 2.0 ** self.exponent_range[1])

    def __str__(self) -> str:
        return _name(self)


def _refuse(found: str, expected: str) -> NoReturn:
    raise InputError("Q1475", "block format", found, expected, "use a named one, such as mx6 or mxfp8_e4m3")


def microexponents(
    width: int, block_size: int = 16, sub_block_size: int = 2, shift_bits: int = 1
) -> BlockFormat:
    """Shared microexponents with m = width - 9.

    >>> str(microexponents(16))
    'mx9'
    """
    return BlockFormat(
        BlockKind.MICROEXPONENT, width - 9, block_size, 0, sub_block_size, shift_bits, Rounding.HALF_AWAY
    )


def plain_blocks(width: int, block_size: int = 8) -> BlockFormat:
    """Plain block floating point with m = width - 9.

    >>> str(plain_blocks(13)), str(plain_blocks(13, 16))
    ('bfp13', 'msfp13')
    """
    return BlockFormat(BlockKind.PLAIN, width - 9, block_size)


_OCP = {
    "mxint8": BlockFormat(BlockKind.OCP, 7, 32),
    "mxfp8_e4m3": BlockFormat(BlockKind.OCP, 3, 32, 4),
    "mxfp8_e5m2": BlockFormat(BlockKind.OCP, 2, 32, 5),
    "mxfp6_e2m3": BlockFormat(BlockKind.OCP, 3, 32, 2),
    "mxfp6_e3m2": BlockFormat(BlockKind.OCP, 2, 32, 3),
    "mxfp4_e2m1": BlockFormat(BlockKind.OCP, 1, 32, 2),
}
_NAMED = {
    **{f"mx{width - 7}": microexponents(width) for width in _WIDTHS["mx"]},
    **{f"bfp{width}": plain_blocks(width) for width in _WIDTHS["bfp"]},
    **{f"msfp{width}": plain_blocks(width, 16) for width in _WIDTHS["bfp"]},
    **_OCP,
}
_ALIASES = {"mxfp4": "mxfp4_e2m1"}
_TEXT = re.compile(
    r"([a-z0-9_]+)(?:-block(\d+))?(?:-sub(\d+)-shift(\d+))?(?:-(half-even|half-away|toward-zero))?"
)


def parse_block_format(text: str) -> BlockFormat:
    """Read the name of a block format, or a name with other blocks or rounding.

    The long form is ``mx9-block32-sub4-shift2-toward-zero``; each part behind the name may be left out.

    >>> parse_block_format("mx9") == microexponents(16), str(parse_block_format("bfp16-block32"))
    (True, 'bfp16-block32')

    Raises:
        InputError: Q1475 when the text names none.
    """
    match = _TEXT.fullmatch(text)
    start = _NAMED.get(_ALIASES.get(match[1], match[1])) if match else None
    if match is None or start is None:
        raise InputError(
            "Q1475", "block format", repr(text), "mx3..mx9, bfp10..bfp24, msfp10..msfp24, " + ", ".join(_OCP),
            "mx6, or a longer form such as mx6-block32",
        )  # fmt: skip
    block, sub, shift = (int(match[i]) if match[i] else None for i in (2, 3, 4))
    return replace(
        start,
        block_size=start.block_size if block is None else block,
        sub_block_size=start.sub_block_size if sub is None else sub,
        shift_bits=start.shift_bits if shift is None else shift,
        rounding=Rounding(match[5]) if match[5] else start.rounding,
    )


def _name(form: BlockFormat) -> str:
    """The name itself, or the first name that differs in blocks and rounding only, and these."""
    exact = next((name for name, known in _NAMED.items() if known == form), None)
    if exact is not None:
        return exact
    elements = (form.kind, form.mantissa_bits, form.exponent_bits)
    name, start = next(
        (name, known)
        for name, known in _NAMED.items()
        if (known.kind, known.mantissa_bits, known.exponent_bits) == elements
    )
    block = "" if form.block_size == start.block_size else f"-block{form.block_size}"
    moved = (form.sub_block_size, form.shift_bits) != (start.sub_block_size, start.shift_bits)
    sub = f"-sub{form.sub_block_size}-shift{form.shift_bits}" if moved else ""
    return name + block + sub + ("" if form.rounding is start.rounding else f"-{form.rounding}")


def round_blocks(x: ArrayLike, format: BlockFormat, axis: int = -1) -> FloatArray:
    """`x` after storing it in `format` along `axis` and reading it back, in the dtype of `x`.

    Args:
        x: Real values of one axis or more. float64 is taken to float32 first.
        format: The block format.
        axis: The axis along which blocks lie.

    >>> round_blocks(np.array([1, 0.3, -0.7, 3.3], np.float32), parse_block_format("mx6")).tolist()
    [1.0, 0.25, -0.75, 3.25]
    """
    values = np.asarray(x)
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    if not values.size:
        return values.copy()
    with np.errstate(all="ignore"):
        rows = np.moveaxis(values.astype(np.float32), axis, -1)
        count = rows.shape[-1]
        padding = [(0, 0)] * (rows.ndim - 1) + [(0, -count % format.block_size)]
        padded = np.pad(rows, padding)
        blocks = padded.reshape(-1, format.block_size)
        stored = _stored(blocks, format).reshape(padded.shape)[..., :count]
        return np.moveaxis(stored, -1, axis).astype(values.dtype)


def _stored(rows: Floats, form: BlockFormat) -> Floats:
    """One block in each row."""
    finite = np.isfinite(rows)
    magnitude = np.where(finite, np.abs(rows), np.float32(0))
    if form.kind is BlockKind.MICROEXPONENT:
        magnitude[magnitude < np.float32(_SMALLEST_NORMAL)] = 0
    power = np.maximum(_power(magnitude.max(-1, keepdims=True)), np.float32(form.smallest_power))
    rounded = (_floats if form.exponent_bits else _integers)(magnitude, power, form)
    signed = np.where(rows < 0, 0 - rounded, rounded)  # 0 - 0 is a positive zero
    if form.kind is BlockKind.PLAIN:
        return np.where(finite, signed, rows)
    return np.where(finite.all(-1, keepdims=True), signed, np.float32(np.nan))


def _power(x: Floats) -> Floats:
    """The largest power of two that is not above each normal number; 0 for subnormal ones."""
    return np.asarray((x.view(np.uint32) & _EXPONENT_BITS).view(np.float32))


def _integers(magnitude: Floats, power: Floats, form: BlockFormat) -> Floats:
    step = power * np.float32(2.0 ** (1 - form.mantissa_bits))
    if form.shift_bits:
        pairs = magnitude.reshape(len(magnitude), -1, form.sub_block_size)
        shift = _lowered(pairs.max(-1), power, form)
        step = np.repeat(step * shift, form.sub_block_size, -1)
    steps = round_moderate(magnitude / step, form.rounding)
    return np.asarray(np.minimum(steps, np.float32(form.largest)) * step)


def _lowered(peaks: Floats, power: Floats, form: BlockFormat) -> Floats:
    """2**-D for sub-blocks with these largest magnitudes."""
    shift = np.ones_like(peaks)
    for index in range((1 << form.shift_bits) - 1):
        shift = np.where(peaks < power * np.float32(2.0**-index), np.float32(2.0 ** -(index + 1)), shift)
    return shift


def _floats(magnitude: Floats, power: Floats, form: BlockFormat) -> Floats:
    lowest, highest = form.exponent_range
    scale = power * np.float32(2.0**-highest)
    scaled = magnitude / scale
    step = np.maximum(_power(scaled), np.float32(2.0**lowest)) * np.float32(2.0**-form.mantissa_bits)
    nearest = round_moderate(scaled / step, form.rounding) * step
    return np.asarray(np.minimum(nearest, np.float32(form.largest_float)) * scale)

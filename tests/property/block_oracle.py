"""Block formats in Python integers and fractions, sharing no code with src."""

from __future__ import annotations

import math
from fractions import Fraction

from quantforge.numerics.block_float import BlockFormat, BlockKind
from tests.property.oracle import round_fraction

ELEMENTS = {(4, 3): 448, (5, 2): 57344, (2, 3): Fraction(15, 2), (3, 2): 28, (2, 1): 6}  # largest ones


def exponent(value: Fraction) -> int:
    """floor(log2(value)) of a positive value."""
    found = value.numerator.bit_length() - value.denominator.bit_length()
    return found if Fraction(2) ** found <= value else found - 1


def stored(block: list[float], form: BlockFormat) -> list[float]:
    """One block, up to `block_size` numbers."""
    if form.kind is not BlockKind.PLAIN and not all(map(math.isfinite, block)):
        return [math.nan] * len(block)
    sizes = [abs(Fraction(x)) if math.isfinite(x) else Fraction(0) for x in block]
    if form.kind is BlockKind.MICROEXPONENT:
        sizes = [size if size >= Fraction(2) ** -126 else Fraction(0) for size in sizes]
    if form.exponent_bits:
        rounded = _floats(sizes, form)
    else:
        rounded = _integers(sizes, form)
    signed = [float(-y if x < 0 else y) for x, y in zip(block, rounded, strict=True)]
    return [y if math.isfinite(x) else x for x, y in zip(block, signed, strict=True)]


def _integers(sizes: list[Fraction], form: BlockFormat) -> list[Fraction]:
    lowest = -126 if form.kind is BlockKind.MICROEXPONENT else -127
    top = max([lowest, *(exponent(size) for size in sizes if size)])
    found = []
    for index, size in enumerate(sizes):
        start = index // form.sub_block_size * form.sub_block_size
        near = sizes[start : start + form.sub_block_size]
        own = max([-127, *(exponent(other) for other in near if other)])
        shift = min(top - own, 2**form.shift_bits - 1)
        step = Fraction(2) ** (top + 1 - form.mantissa_bits - shift)
        found.append(min(round_fraction(size / step, form.rounding), 2**form.mantissa_bits - 1) * step)
    return found


def _floats(sizes: list[Fraction], form: BlockFormat) -> list[Fraction]:
    bias = 2 ** (form.exponent_bits - 1) - 1
    largest = Fraction(ELEMENTS[form.exponent_bits, form.mantissa_bits])
    top = max([-200, *(exponent(size) for size in sizes if size)])
    scale = Fraction(2) ** max(top - exponent(largest), -127)
    found = []
    for size in sizes:
        value = size / scale
        power = max(exponent(value), 1 - bias) if value else 1 - bias
        step = Fraction(2) ** (power - form.mantissa_bits)
        found.append(min(round_fraction(value / step, form.rounding) * step, largest) * scale)
    return found

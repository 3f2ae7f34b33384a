"""What one reader sees of a value: stored in a number format and read back.

A `QuantSpec` on a value holds for all its readers. Block formats lie along an axis that depends on the reader, so
they stand in front of it as operators of their own: attribute `format` is a block format (``mx6``), ``bfloat16`` or
``float16``, `axis` the axis of the blocks. Float formats overflow to inf, as a cast does.
"""

from __future__ import annotations

from collections.abc import Sequence

from quantforge.graph import Array, Op
from quantforge.numerics.block_float import BlockFormat, parse_block_format, round_blocks
from quantforge.numerics.formats import BFLOAT16, FLOAT16, FloatFormat
from quantforge.numerics.lowfloat import fake_quantize_float
from quantforge.ops.activation import infer
from quantforge.ops.attributes import integer, present, text
from quantforge.ops.opspec import OpSpec, Traits

KIND = "fake-quantize"
_FLOATS = {format.name: format for format in (BFLOAT16, FLOAT16)}


def format_of(op: Op) -> BlockFormat | FloatFormat:
    """The format that `op` stores in.

    Raises:
        InputError: Q1475 when it is none, Q0405 when there is none.
    """
    return named_format(text(op, "format"))


def named_format(name: str) -> BlockFormat | FloatFormat:
    """``bfloat16``, ``float16`` or a block format.

    Raises:
        InputError: Q1475 when it is none of them.
    """
    return _FLOATS.get(name) or parse_block_format(name)


def compute(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Stored and read back, in the dtype of the input."""
    return [stored(present(op, arrays), format_of(op), integer(op, "axis", -1))]


def stored(x: Array, format: BlockFormat | FloatFormat, axis: int) -> Array:
    """`x` after storing it in `format`, blocks along `axis`."""
    if isinstance(format, FloatFormat):
        return fake_quantize_float(x, format, saturate=False)
    return round_blocks(x, format, axis)


SPECS = (OpSpec(KIND, Traits("float"), infer, compute),)

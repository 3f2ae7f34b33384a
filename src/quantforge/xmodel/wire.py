"""The protobuf wire format: varints, fixed 32 and 64 bits, length-delimited fields, packed numbers.

Reading works on positions in one buffer: a field is a place, and only what is kept is copied out of it. Writing
makes lists of byte strings that are joined once per message.

Reference: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from quantforge.diagnostics import InputError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_WIDTHS = {FIXED64: 8, FIXED32: 4}
_NAMES = {VARINT: "varint", FIXED64: "64-bit", LENGTH: "length-delimited", FIXED32: "32-bit"}
_LONGEST_VARINT = 10
_MASK64 = (1 << 64) - 1


@dataclass(frozen=True)
class Source:
    """The bytes that are read, and the name (a path) that errors give."""

    name: str
    data: bytes

    def corrupt(self, position: int, found: str, expected: str) -> InputError:
        """The error Q0901 for byte `position`."""
        fix = "copy the file again, or write it again with the tool that made it"
        return InputError("Q0901", f"{self.name}, byte {position}", found, expected, fix)


@dataclass(frozen=True)
class Span:
    """A piece of a source, from byte `start` up to `end`: one message, string or packed list."""

    source: Source
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def bytes(self) -> bytes:
        """The piece, copied."""
        return self.source.data[self.start : self.end]

    def text(self) -> str:
        """The piece as UTF-8.

        Raises:
            InputError: Q0901 when it is not.
        """
        try:
            return self.bytes().decode()
        except UnicodeDecodeError as error:
            position = self.start + error.start
            raise self.source.corrupt(position, "bytes that are not UTF-8", "a text") from error


@dataclass(frozen=True)
class Field:
    """One field of a message: number, wire type, first byte, and the unsigned integer or the piece it holds."""

    number: int
    wire: int
    position: int
    value: int | Span

    def span(self, source: Source) -> Span:
        """The piece of a length-delimited field.

        Raises:
            InputError: Q0901 for a field of another wire type.
        """
        if isinstance(self.value, Span):
            return self.value
        raise self._unlike(source, LENGTH)

    def unsigned(self, source: Source, wire: int = VARINT) -> int:
        """The number of a field of wire type `wire`.

        Raises:
            InputError: Q0901 for a field of another wire type.
        """
        if self.wire == wire and isinstance(self.value, int):
            return self.value
        raise self._unlike(source, wire)

    def _unlike(self, source: Source, wire: int) -> InputError:
        found = f"field {self.number} as a {_NAMES[self.wire]} value"
        return source.corrupt(self.position, found, f"a {_NAMES[wire]} value")


def fields(span: Span) -> Iterator[Field]:
    """The fields of a message, in file order.

    Raises:
        InputError: Q0901 with the byte where the piece is truncated or is no message.
    """
    source, end = span.source, span.end
    position = span.start
    while position < end:
        start = position
        tag, position = varint_at(source, position, end)
        number, wire = tag >> 3, tag & 7
        value: int | Span
        if wire == VARINT:
            value, position = varint_at(source, position, end)
        elif wire == LENGTH:
            length, position = varint_at(source, position, end)
            if length > end - position:
                found = f"a field of {length} bytes where {end - position} are left"
                raise source.corrupt(start, found, "a field that ends inside its message")
            value = Span(source, position, position + length)
            position += length
        elif wire in _WIDTHS:
            width = _WIDTHS[wire]
            if width > end - position:
                raise source.corrupt(
                    start, f"the end after {end - position} bytes", f"a number of {width} bytes"
                )
            value = int.from_bytes(source.data[position : position + width], "little")
            position += width
        else:
            raise source.corrupt(
                start, f"wire type {wire}", "a protobuf message with wire types 0, 1, 2 and 5"
            )
        if number == 0:
            raise source.corrupt(start, "field number 0", "a protobuf message")
        yield Field(number, wire, start, value)


def varint_at(source: Source, position: int, end: int) -> tuple[int, int]:
    """The unsigned 64-bit varint at `position`, and the position after it.

    >>> varint_at(Source("x", bytes([0xAC, 0x02])), 0, 2)
    (300, 2)

    Raises:
        InputError: Q0901 when it does not end before `end` or within ten bytes.
    """
    data, start = source.data, position
    result = shift = 0
    while position < end:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & _MASK64, position
        shift += 7
        if position - start >= _LONGEST_VARINT:
            raise source.corrupt(start, "an integer of more than ten bytes", "at most ten bytes")
    raise source.corrupt(start, "the end inside an integer", "the rest of it")


def packed_varints(span: Span) -> Iterator[int]:
    """The unsigned varints of a packed list.

    Raises:
        InputError: Q0901 when the last one is cut off.
    """
    position = span.start
    while position < span.end:
        value, position = varint_at(span.source, position, span.end)
        yield value


def packed_fixed(span: Span, width: int) -> tuple[float, ...]:
    """The floats of a packed list, `width` 4 or 8 bytes each.

    Raises:
        InputError: Q0901 when the length is no multiple of the width.
    """
    if len(span) % width:
        raise span.source.corrupt(span.start, f"{len(span)} bytes", f"a multiple of {width} bytes")
    return struct.unpack(f"<{len(span) // width}{'f' if width == 4 else 'd'}", span.bytes())


def signed(value: int, bits: int) -> int:
    """The two's complement number in the lowest `bits` of `value`.

    >>> signed(2**64 - 3, 32)
    -3
    """
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def varint(value: int) -> bytes:
    """An integer as a varint; a negative one as ten bytes of two's complement.

    >>> varint(300).hex(), len(varint(-1))
    ('ac02', 10)
    """
    value &= _MASK64
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def integer_field(number: int, value: int) -> bytes:
    """A varint field."""
    return varint(number << 3 | VARINT) + varint(value)


def float_field(number: int, value: float) -> bytes:
    """A 32-bit float field."""
    return varint(number << 3 | FIXED32) + struct.pack("<f", value)


def double_field(number: int, value: float) -> bytes:
    """A 64-bit float field."""
    return varint(number << 3 | FIXED64) + struct.pack("<d", value)


def bytes_field(number: int, value: bytes) -> bytes:
    """A length-delimited field: bytes, or a message that is encoded already.

    >>> bytes_field(5, b"ab").hex()
    '2a026162'
    """
    return varint(number << 3 | LENGTH) + varint(len(value)) + value


def text_field(number: int, value: str) -> bytes:
    """A length-delimited field of UTF-8 text."""
    return bytes_field(number, value.encode())


def packed_field(number: int, values: Iterable[int]) -> bytes:
    """A packed list of varints; nothing at all when it is empty."""
    body = b"".join(map(varint, values))
    return bytes_field(number, body) if body else b""


def packed_floats(number: int, values: Iterable[float], width: int) -> bytes:
    """A packed list of floats of `width` 4 or 8 bytes; nothing at all when it is empty."""
    body = b"".join(struct.pack("<f" if width == 4 else "<d", value) for value in values)
    return bytes_field(number, body) if body else b""

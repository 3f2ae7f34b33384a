"""Take large weights out of a serialized ONNX model without parsing them.

Protobuf copies every tensor when it parses a model, and cannot parse more than 2 GB. This reads the wire format
just deep enough (ModelProto.graph = 7, GraphProto.initializer = 5, TensorProto.raw_data = 9) to leave the large
``raw_data`` fields where they are, in the mapped file, and to return a small model without them.
Source: https://protobuf.dev/programming-guides/encoding/ and onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class MalformedError(ValueError):
    """The bytes are not a protobuf message."""


@dataclass(frozen=True)
class Payload:
    """The raw data of initializer number `index`: bytes `start` to `end` of the file."""

    index: int
    start: int
    end: int


@dataclass(frozen=True)
class _Field:
    number: int
    tag: int  # offset of the tag
    start: int  # offset of the value
    end: int
    wire_type: int


def strip_payloads(buffer: memoryview, min_bytes: int) -> tuple[bytes, list[Payload]]:
    """The model in `buffer` without initializer payloads of `min_bytes` or more, and where those are.

    Raises:
        MalformedError: the buffer is not a well-formed message at the levels read.
    """
    pieces: list[bytes] = []
    payloads: list[Payload] = []
    index = 0
    for field in _fields(buffer, 0, len(buffer)):
        if field.number == _GRAPH and field.wire_type == _BYTES:
            graph, index = _strip_graph(buffer, field, min_bytes, index, payloads)
            pieces += [_tag(_GRAPH), _varint(len(graph)), graph]
        else:
            pieces.append(bytes(buffer[field.tag : field.end]))
    return b"".join(pieces), payloads


def _strip_graph(
    buffer: memoryview, graph: _Field, min_bytes: int, index: int, payloads: list[Payload]
) -> tuple[bytes, int]:
    pieces: list[bytes] = []
    for field in _fields(buffer, graph.start, graph.end):
        if field.number == _INITIALIZER and field.wire_type == _BYTES:
            if field.end - field.start >= min_bytes:
                tensor = _strip_tensor(buffer, field, min_bytes, index, payloads)
                pieces += [_tag(_INITIALIZER), _varint(len(tensor)), tensor]
            else:
                pieces.append(bytes(buffer[field.tag : field.end]))
            index += 1
        else:
            pieces.append(bytes(buffer[field.tag : field.end]))
    return b"".join(pieces), index


def _strip_tensor(
    buffer: memoryview, tensor: _Field, min_bytes: int, index: int, payloads: list[Payload]
) -> bytes:
    pieces: list[bytes] = []
    for field in _fields(buffer, tensor.start, tensor.end):
        if field.number == _RAW_DATA and field.wire_type == _BYTES and field.end - field.start >= min_bytes:
            payloads.append(Payload(index, field.start, field.end))
        else:
            pieces.append(bytes(buffer[field.tag : field.end]))
    return b"".join(pieces)


def _fields(buffer: memoryview, start: int, end: int) -> Iterator[_Field]:
    at = start
    while at < end:
        key, value = _read_varint(buffer, at, end)
        wire_type = key & 7
        if wire_type == _VARINT:
            stop = _read_varint(buffer, value, end)[1]
        elif wire_type == _BYTES:
            length, value = _read_varint(buffer, value, end)
            stop = value + length
        elif wire_type in (_FIXED64, _FIXED32):
            stop = value + (8 if wire_type == _FIXED64 else 4)
        else:
            raise MalformedError(f"wire type {wire_type} at byte {at}")
        if stop > end or key >> 3 == 0:
            raise MalformedError(f"a field that runs past its message at byte {at}")
        yield _Field(key >> 3, at, value, stop, wire_type)
        at = stop


def _read_varint(buffer: memoryview, at: int, end: int) -> tuple[int, int]:
    result = shift = 0
    while at < end and shift < 70:
        byte = buffer[at]
        result |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return result, at
        shift += 7
    raise MalformedError(f"an unfinished number at byte {at}")


def _tag(number: int) -> bytes:
    return _varint(number << 3 | _BYTES)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message_header(number: int, length: int) -> bytes:
    """What stands before `length` bytes of a bytes or message field.

    >>> message_header(7, 300).hex()
    '3aac02'
    """
    return _tag(number) + _varint(length)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.diagnostics import InputError
from quantforge.xmodel.wire import (
    FIXED32,
    LENGTH,
    VARINT,
    Source,
    Span,
    bytes_field,
    double_field,
    fields,
    float_field,
    integer_field,
    packed_field,
    packed_fixed,
    packed_floats,
    packed_varints,
    signed,
    text_field,
    varint,
    varint_at,
)


def span(data: bytes) -> Span:
    return Span(Source("test", data), 0, len(data))


@given(st.integers(-(2**63), 2**64 - 1))
def test_varints_hold_64_bits(value: int) -> None:
    data = varint(value)
    assert len(data) == max(1, -(-((value % 2**64).bit_length()) // 7))
    assert varint_at(Source("x", data), 0, len(data)) == (value % 2**64, len(data))
    if value < 2**63:
        assert signed(value % 2**64, 64) == value


@given(st.lists(st.integers(0, 2**64 - 1)), st.lists(st.floats(width=32, allow_nan=False)))
def test_packed_lists(numbers: list[int], floats: list[float]) -> None:
    for field in fields(span(packed_field(1, numbers))):
        assert list(packed_varints(field.span(Source("x", b"")))) == numbers
    for width in (4, 8):
        for field in fields(span(packed_floats(1, floats, width))):
            assert list(packed_fixed(field.span(Source("x", b"")), width)) == floats


def test_fields_of_every_wire_type() -> None:
    data = integer_field(1, 300) + text_field(2, "ab") + float_field(3, 1.0) + double_field(4, 1.0)
    found = list(fields(span(data)))
    assert [(field.number, field.wire, field.position) for field in found] == [
        (1, VARINT, 0),
        (2, LENGTH, 3),
        (3, FIXED32, 7),
        (4, 1, 12),
    ]
    source = Source("x", data)
    assert found[0].unsigned(source) == 300 and found[2].unsigned(source, FIXED32) == 0x3F800000
    assert found[1].span(source).text() == "ab" and bytes_field(2, b"ab") == text_field(2, "ab")
    with pytest.raises(InputError, match=r"byte 0: found field 1 as a varint value; expected a length-del"):
        found[0].span(source)
    with pytest.raises(
        InputError, match=r"byte 3: found field 2 as a length-delimited value; expected a var"
    ):
        found[1].unsigned(source)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"\x08", "byte 1: found the end inside an integer"),
        (b"\x08\x80", "byte 1: found the end inside an integer"),
        (b"\x08" + b"\x80" * 11, "byte 1: found an integer of more than ten bytes"),
        (b"\x08\x01\x0a\x05ab", "byte 2: found a field of 5 bytes where 2 are left"),
        (b"\x0d\x00\x00", "byte 0: found the end after 2 bytes; expected a number of 4 bytes"),
        (b"\x09\x00", "expected a number of 8 bytes"),
        (b"\x0b", "byte 0: found wire type 3"),
        (b"\x02\x00", "byte 0: found field number 0"),
    ],
)
def test_broken_messages_name_the_byte(data: bytes, where: str) -> None:
    with pytest.raises(InputError, match=f"Q0901.*{where}"):
        list(fields(span(data)))


def test_text_that_is_no_text() -> None:
    with pytest.raises(InputError, match="Q0901 test, byte 1: found bytes that are not UTF-8"):
        span(b"a\xff").text()
    with pytest.raises(InputError, match="a multiple of 4 bytes"):
        packed_fixed(span(b"abc"), 4)

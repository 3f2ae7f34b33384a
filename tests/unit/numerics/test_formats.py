from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError, explain
from quantforge.numerics.formats import BFLOAT16, FLOAT16, INT8, IntFormat, parse_format


@pytest.mark.parametrize(
    ("format", "low", "high", "storage"),
    [
        (IntFormat(2), -2, 1, np.int8),
        (IntFormat(8, narrow=True), -127, 127, np.int8),
        (IntFormat(8, signed=False), 0, 255, np.uint8),
        (IntFormat(9), -256, 255, np.int16),
        (IntFormat(17, signed=False), 0, 131071, np.uint32),
        (IntFormat(32), -(2**31), 2**31 - 1, np.int32),
        (IntFormat(32, signed=False), 0, 2**32 - 1, np.uint32),
    ],
    ids=str,
)
def test_ranges_and_storage(format: IntFormat, low: int, high: int, storage: type) -> None:
    assert (format.qmin, format.qmax, format.storage) == (low, high, np.dtype(storage))


@pytest.mark.parametrize("text", ["int2", "uint4", "int8n", "int32", "uint32", "float16", "bfloat16"])
def test_text_round_trips(text: str) -> None:
    assert str(parse_format(text)) == text


def test_parsed_formats_are_the_named_ones() -> None:
    assert [parse_format(text) for text in ("int8", "float16", "bfloat16")] == [INT8, FLOAT16, BFLOAT16]
    assert (FLOAT16.bits, BFLOAT16.bits) == (16, 16)


@pytest.mark.parametrize("bits", [1, 0, 33, -8])
def test_width_is_checked(bits: int) -> None:
    with pytest.raises(InputError, match=rf"Q0301 IntFormat: found {bits} bits; expected 2 to 32 bits"):
        IntFormat(bits)


def test_unsigned_narrow_is_refused() -> None:
    with pytest.raises(
        InputError, match="Q0302 IntFormat: found an unsigned narrow range; expected narrow only"
    ):
        IntFormat(8, signed=False, narrow=True)


@pytest.mark.parametrize("text", ["int", "sint8", "int8u", "float8", "", "INT8"])
def test_unknown_text_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"Q0303 format: found .*; expected int2\.\.int32") as error:
        parse_format(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("code", "title"),
    [
        ("Q0301", "An integer format has 2 to 32 bits"),
        ("Q0302", "Only signed formats have a narrow range"),
        ("Q0303", "The number format is not known"),
    ],
)
def test_long_forms(code: str, title: str) -> None:
    assert explain(code).title == title

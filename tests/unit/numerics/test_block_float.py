from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.numerics.block_float import (
    BlockFormat,
    BlockKind,
    microexponents,
    parse_block_format,
    plain_blocks,
    round_blocks,
)
from quantforge.numerics.rounding import Rounding

BLOCK = np.array(
    [1, 0.3, -0.7, 0.05, 0.011, -3.3, 0.5, 0.25, 0.001, 0.002, 0.9, -0.9, 0.1, 0.2, 0.4, 3.99], np.float32
)
GOLDEN = {  # computed by the original kernels
    16: "1 .296875 -.703125 .046875 0 -3.3125 .5 .25 0 0 .90625 -.90625 .09375 .203125 .40625 3.96875",
    13: "1 .25 -.75 0 0 -3.25 .5 .25 0 0 .875 -.875 .125 .25 .5 3.75",
    11: "1 .5 -.5 0 0 -3 .5 .5 0 0 1 -1 0 0 0 3",
}


@pytest.mark.parametrize("width", GOLDEN)
def test_the_golden_block(width: int) -> None:
    assert round_blocks(BLOCK, microexponents(width)).tolist() == list(map(float, GOLDEN[width].split()))


def test_names_tell_bits_and_read_back() -> None:
    bits = {"mx9": 9, "mx6": 6, "mx4": 4, "bfp16": 9, "msfp16": 8.5, "mxint8": 8.25, "mxfp4": 4.25}
    for name, expected in bits.items():
        assert parse_block_format(name).bits_per_element == expected
    for name in ("mx3", "msfp12", "bfp24", "mxfp6_e3m2", "mxfp8_e5m2-block16", "bfp16-block32-toward-zero"):
        assert str(parse_block_format(name)) == name
    longer = BlockFormat(BlockKind.MICROEXPONENT, 5, 24, 0, 4, 2, Rounding.TOWARD_ZERO)
    assert str(longer) == "mx7-block24-sub4-shift2-toward-zero" and parse_block_format(str(longer)) == longer
    assert parse_block_format("msfp13") == plain_blocks(13, 16)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mx2", "'mx2'"),
        ("int8", "'int8'"),
        ("mx6-block15", "blocks of 15, sub-blocks of 2"),
        ("bfp16-sub2-shift1", "1 shift bits"),
        ("mx9-sub2-shift9", "9 shift bits"),
    ],
)
def test_other_texts_are_refused(text: str, found: str) -> None:
    with pytest.raises(InputError, match="Q1475") as caught:
        parse_block_format(text)
    assert found in str(caught.value)
    with pytest.raises(InputError, match="17 bits"):
        microexponents(17)
    with pytest.raises(InputError, match="e3m3"):
        BlockFormat(BlockKind.OCP, 3, 32, 3)
    with pytest.raises(InputError, match="rounding floor"):
        BlockFormat(BlockKind.PLAIN, 7, 8, rounding=Rounding.FLOOR)


def test_special_numbers() -> None:
    x = np.array([1.0, np.nan, -0.0, 0.4], np.float32)
    assert np.isnan(round_blocks(x, parse_block_format("mx6"))).all()
    plain = round_blocks(np.array([np.inf, -np.inf, -0.0, 0.4], np.float32), parse_block_format("bfp11"))
    assert plain.tolist() == [np.inf, -np.inf, 0.0, 0.375] and not np.signbit(plain[2])
    assert round_blocks(np.array([1e-40], np.float32), parse_block_format("mx9")).tolist() == [0.0]


def test_the_dtype_stays() -> None:
    for dtype in (np.float16, np.float32, np.float64):
        assert round_blocks(BLOCK.astype(dtype), parse_block_format("mx9")).dtype == dtype
    assert round_blocks([[1, 2, 3]], parse_block_format("mx4"), 0).tolist() == [[1, 2, 3]]
    assert round_blocks(np.zeros((0, 3), np.float32), parse_block_format("mx9"), 0).shape == (0, 3)

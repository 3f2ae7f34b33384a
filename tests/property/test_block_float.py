"""Block formats against the oracle: every width, every family, and the numbers that break things."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.numerics.block_float import BlockFormat, BlockKind, parse_block_format, round_blocks
from quantforge.numerics.rounding import Rounding
from tests.property import block_oracle

NAMES = [
    *(f"mx{bits}" for bits in range(3, 10)),
    *("bfp10", "bfp13", "bfp16", "bfp24", "msfp12", "msfp16", "bfp13-half-away", "mx9-toward-zero"),
    *("mx7-block8-sub4-shift2", "mx9-block32-sub8-shift4", "mx5-block6-sub3-shift3-half-even"),
    *("mxint8", "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp4_e2m1", "mxint8-block4"),
]


def of_bits(bits: int) -> float:
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


moderate = st.integers(-(2**12), 2**12).map(lambda n: n / 2**9)
close = st.builds(lambda n, k: n * 2.0**k, st.integers(-(2**10), 2**10), st.integers(-8, 2))
anything = st.integers(0, 2**32 - 1).map(of_bits)
tiny = st.builds(lambda n, k: n * 2.0**k, st.integers(-600, 600), st.integers(-149, -125))
huge = st.sampled_from([3.4028234663852886e38, -3.4028234663852886e38, 2.0**127, -1.7e38])
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def blocks(draw: st.DrawFn, size: int) -> list[float]:
    kind = draw(st.sampled_from([moderate, close, anything, tiny, huge | finite, finite, tiny | moderate]))
    return draw(st.lists(kind | st.sampled_from([0.0, -0.0]), min_size=1, max_size=size))


@pytest.mark.parametrize("name", NAMES)
def test_one_block(name: str) -> None:
    form = parse_block_format(name)

    @settings(deadline=None, max_examples=60)
    @given(blocks(form.block_size))
    def check(block: list[float]) -> None:
        found = round_blocks(np.array(block, np.float32), form)
        want = np.array(block_oracle.stored(block, form), np.float32)
        np.testing.assert_array_equal(found, want)
        zeros = found == 0
        assert not np.signbit(found[zeros & np.isfinite(np.array(block, np.float32))]).any()

    check()


@pytest.mark.parametrize("name", NAMES)
def test_every_exponent_of_a_block(name: str) -> None:
    form = parse_block_format(name)
    generator = np.random.default_rng(0)
    shape = (254, form.block_size)
    mantissas = generator.integers(0, 2**23, shape, dtype=np.uint32)
    down = np.minimum(generator.integers(0, 12, shape), np.arange(1, 255)[:, None])
    bits = (np.arange(1, 255)[:, None] - down).astype(np.uint32) << np.uint32(23) | mantissas
    x = np.where(generator.random(shape) < 0.5, -1, 1).astype(np.float32) * bits.view(np.float32)
    found = round_blocks(x, form)
    for row, block in zip(found, x, strict=True):
        np.testing.assert_array_equal(row, np.array(block_oracle.stored(block.tolist(), form), np.float32))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_axis_and_the_last_block_of_it(data: st.DataObject) -> None:
    form = parse_block_format(data.draw(st.sampled_from(NAMES)))
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    shape[axis] = data.draw(st.integers(1, 2 * form.block_size + 1))
    x = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=shape).astype(np.float32)
    found = np.moveaxis(round_blocks(x, form, axis), axis, -1).reshape(-1, shape[axis])
    for row, given_row in zip(found, np.moveaxis(x, axis, -1).reshape(-1, shape[axis]), strict=True):
        parts = [given_row[i : i + form.block_size] for i in range(0, len(given_row), form.block_size)]
        want = [y for part in parts for y in block_oracle.stored(part.tolist(), form)]
        np.testing.assert_array_equal(row, np.array(want, np.float32))


@pytest.mark.parametrize("name", [n for n in NAMES if "toward" not in n])
def test_what_is_stored_is_stored_as_it_is(name: str) -> None:
    form = parse_block_format(name)
    x = np.random.default_rng(1).normal(size=(8, 3 * form.block_size)).astype(np.float32)
    once = round_blocks(x, form)
    np.testing.assert_array_equal(round_blocks(once, form), once)


def test_all_elements_of_the_small_floats_are_reached() -> None:
    form = BlockFormat(BlockKind.OCP, 1, 32, 2, rounding=Rounding.HALF_EVEN)
    x = np.concatenate([np.full((1000, 1), 6, np.float32), np.linspace(-6, 6, 31000).reshape(-1, 31)], 1)
    found = round_blocks(x.astype(np.float32), form)
    want = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert np.unique(np.abs(found)).tolist() == want

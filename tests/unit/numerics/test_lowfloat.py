from __future__ import annotations

import numpy as np
import pytest

from quantforge.numerics.formats import BFLOAT16, FLOAT16, FloatFormat
from quantforge.numerics.lowfloat import (
    clamp_to_finite,
    fake_quantize_float,
    from_bfloat16_bits,
    largest_finite,
    to_bfloat16,
    to_bfloat16_bits,
    to_float16,
)


def test_largest_finite_numbers() -> None:
    assert largest_finite(FLOAT16) == float(np.finfo(np.float16).max)
    assert largest_finite(BFLOAT16) == float(from_bfloat16_bits(np.array(0x7F7F, np.uint16)))


def test_overflow_of_a_conversion_is_infinite() -> None:
    assert to_float16([65519.99, 65520.0, -1e300]).tolist() == [65504.0, np.inf, -np.inf]
    half_a_step_beyond = largest_finite(BFLOAT16) + 2.0**119
    assert to_bfloat16([np.nextafter(half_a_step_beyond, 0), half_a_step_beyond, -1e300]).tolist() == [
        largest_finite(BFLOAT16),
        np.inf,
        -np.inf,
    ]


def test_every_bfloat16_pattern_round_trips() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    values = from_bfloat16_bits(bits)
    numbers = ~np.isnan(values)
    assert np.array_equal(to_bfloat16_bits(values)[numbers], bits[numbers])
    assert np.array_equal(to_bfloat16_bits(values[numbers].astype(np.float64)), bits[numbers])


def test_nan_stays_nan_with_its_sign() -> None:
    """Patterns whose payload sits in the dropped half must not become infinity."""
    payloads = np.array([0x7F800001, 0xFFFFFFFF, 0x7FC00000], np.uint32).view(np.float32)
    assert [hex(bits) for bits in to_bfloat16_bits(payloads)] == ["0x7fc0", "0xffc0", "0x7fc0"]
    assert np.isnan(to_bfloat16([np.nan])).all()
    assert np.isnan(to_float16([np.nan])).all()


def test_denormals_are_kept() -> None:
    assert to_float16([2.0**-24, 2.0**-25, 3 * 2.0**-26]).tolist() == [2.0**-24, 0.0, 2.0**-24]
    assert to_bfloat16([2.0**-133, 2.0**-134, 3 * 2.0**-135]).tolist() == [2.0**-133, 0.0, 2.0**-133]
    assert to_bfloat16([5e-324]).tolist() == [0.0]


def test_float64_is_rounded_once() -> None:
    """Going through float32 first would make a tie of it, and round to the wrong side."""
    x = 1 + 2.0**-8 + 2.0**-40
    assert to_bfloat16([x, -x]).tolist() == [1 + 2.0**-7, -1 - 2.0**-7]
    assert to_bfloat16([1 + 3 * 2.0**-8 - 2.0**-40]).tolist() == [1 + 2.0**-7]


@pytest.mark.parametrize("format", [FLOAT16, BFLOAT16], ids=str)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_fake_quantize_saturates_and_keeps_the_dtype(format: FloatFormat, dtype: type) -> None:
    x = np.array([np.inf, -np.inf, np.nan, 1.0, -0.0], dtype)
    fake = fake_quantize_float(x, format)
    assert fake.dtype == dtype
    assert np.isnan(fake[2])
    assert fake[3] == 1.0
    assert np.signbit(fake[4])
    if dtype != np.float16:
        assert fake[:2].tolist() == [largest_finite(format), -largest_finite(format)]
    assert np.isinf(fake_quantize_float(x, format, saturate=False)[:2]).all()


def test_integers_are_accepted() -> None:
    assert fake_quantize_float([1, 257, 100000], FLOAT16).tolist() == [1.0, 257.0, 65504.0]
    assert fake_quantize_float([1, 257], BFLOAT16).tolist() == [1.0, 256.0]
    assert clamp_to_finite([100000, -3], FLOAT16).tolist() == [65504.0, -3.0]


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_shapes_are_kept(shape: tuple[int, ...]) -> None:
    for format in (FLOAT16, BFLOAT16):
        assert fake_quantize_float(np.zeros(shape), format).shape == shape
    assert to_bfloat16_bits(np.zeros(shape)).shape == shape

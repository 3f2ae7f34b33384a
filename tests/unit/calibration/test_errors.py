"""The closed form of the quantization error against sums over the values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quantforge.calibration.errors import (
    expected_error,
    first_within,
    nearest_squared_error,
    squared_error,
    squared_error_bounds,
)
from quantforge.calibration.segments import Segments, segments_of
from quantforge.calibration.sketch import Sketch, sketch_of
from quantforge.graph import QuantSpec
from quantforge.numerics import fake_quantize
from quantforge.numerics.formats import BFLOAT16, FLOAT16, INT8, UINT8, IntFormat
from quantforge.numerics.rounding import Rounding, round_array

RNG = np.random.default_rng(5)
NORMAL = RNG.standard_normal(100_000).astype(np.float32)


def brute(values: np.ndarray, spec: QuantSpec) -> float:
    assert isinstance(spec.format, IntFormat)
    wide = values.astype(float)
    made = fake_quantize(wide, spec.scale[0], spec.zero_point[0], format=spec.format, rounding=spec.rounding)
    return float(np.mean((made - wide) ** 2))


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize(
    ("format", "scale", "zero_point"),
    [
        (INT8, 1 / 32, 0),
        (INT8, 1 / 64, 0),
        (UINT8, 0.03, 128),
        (UINT8, 0.01, 40),
        (IntFormat(4), 0.4, 0),
        (IntFormat(16), 1e-4, 0),
    ],
)
def test_the_error_of_a_smooth_tensor(
    format: IntFormat, scale: float, zero_point: int, rounding: Rounding
) -> None:
    spec = QuantSpec(format, (scale,), (zero_point,), None, rounding)
    found = expected_error(segments_of(sketch_of([NORMAL])), spec)
    # the evenness within bins is an assumption; for spread-out values it costs well under 2 percent
    assert found.mse == pytest.approx(brute(NORMAL, spec), rel=0.02)
    assert found.power == pytest.approx(float(np.mean(NORMAL.astype(float) ** 2)), rel=0.01)
    steps = round_array(NORMAL.astype(float) / scale, rounding) + zero_point
    clamped = np.count_nonzero((steps < format.qmin) | (steps > format.qmax)) / NORMAL.size
    assert found.saturation == pytest.approx(clamped, abs=1e-3)


def test_evenly_spread_values_are_exact() -> None:
    """On one segment the formula is the integral itself."""
    segments = Segments(np.array([0.2]), np.array([7.9]), np.array([1.0]))
    t = np.linspace(0.2, 7.9, 2_000_001)
    exact = np.mean((np.clip(np.rint(t / 0.7), -8, 7) * 0.7 - t) ** 2)
    # the midpoint sum has an error of the order of one of its steps
    assert squared_error(segments, np.array([0.7]), -8, 7)[0] == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("scale", [1.0, 0.3, 0.05, 0.01])
def test_the_bounds_hold_for_values_that_are_not_spread(scale: float) -> None:
    values = np.array([0.5, 0.5, 0.31, -0.77, 1.49, 1.5, 0.0], np.float32)
    segments = segments_of(sketch_of([values]))
    least, most = squared_error_bounds(segments, scale, -8, 7)
    exact = brute(values, QuantSpec(IntFormat(4), (scale,))) * values.size
    assert least <= exact <= most
    assert least <= squared_error(segments, np.array([scale]), -8, 7)[0] <= most


def test_float_formats() -> None:
    values = np.concatenate([NORMAL, np.array([70000.0, -90000.0], np.float32)])
    segments = segments_of(sketch_of([values]))
    half = expected_error(segments_of(sketch_of([NORMAL])), QuantSpec(FLOAT16))
    exact = np.mean((NORMAL.astype(np.float16).astype(float) - NORMAL) ** 2)
    assert half.mse == pytest.approx(exact, rel=0.02)
    assert half.saturation == 0.0
    assert expected_error(segments, QuantSpec(FLOAT16)).saturation == pytest.approx(2 / values.size)
    brain = expected_error(segments, QuantSpec(BFLOAT16))
    assert brain.saturation == 0.0
    # 8 significant bits: noise 2^-16 / 12 .. 2^-18 / 12 of each value's octave, about 50 dB
    assert 48 < brain.sqnr_db < 56


def test_the_first_error_within_the_slack() -> None:
    errors = np.array([4.0, 2.2, 2.0, 2.0, 9.0])
    assert [first_within(errors, slack) for slack in (0.0, 0.1, 1.0)] == [2, 1, 0]
    assert first_within(np.zeros(3), 0.0) == 0


def test_nothing_to_lose() -> None:
    assert expected_error(segments_of(Sketch()), QuantSpec(INT8)).sqnr_db == math.inf
    whole = expected_error(segments_of(sketch_of([np.full(3, 4.0, np.float32)])), QuantSpec(INT8))
    assert (whole.mse, whole.sqnr_db, whole.saturation) == (0.0, math.inf, 0.0)


@pytest.mark.parametrize("zero", [0, 100])
def test_the_kernel_computes_the_definition(zero: int) -> None:
    values = np.random.default_rng(3).standard_normal(4000).astype(np.float32)
    segments = segments_of(sketch_of([values, np.zeros(50, np.float32), np.full(9, 1e-4, np.float32)]))
    steps = np.geomspace(1e-3, 0.5, 17)
    low, high = np.full(17, -128.0 - zero), np.full(17, 127.0 - zero)
    found = nearest_squared_error(segments, steps, low, high)
    np.testing.assert_allclose(found, squared_error(segments, steps, low, high), rtol=1e-11)
    scalar = nearest_squared_error(segments, steps, -8, 7)
    np.testing.assert_allclose(scalar, squared_error(segments, steps, -8, 7), rtol=1e-11)

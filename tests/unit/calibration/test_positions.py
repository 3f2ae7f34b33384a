"""Positions from sketches equal those of the search over the values."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.calibration.errors import squared_error_bounds
from quantforge.calibration.positions import (
    CANDIDATES,
    PowerOfTwo,
    least_error,
    non_overflow,
    position_errors,
)
from quantforge.calibration.segments import segments_of
from quantforge.calibration.sketch import Extent, Sketch, sketch_of
from quantforge.numerics import fake_quantize
from quantforge.numerics.formats import INT8, UINT8, IntFormat
from quantforge.numerics.positions import scale_of_position

RNG = np.random.default_rng(9)
NORMAL = RNG.standard_normal(50_000).astype(np.float32)
VALUES = {
    "normal": NORMAL,
    "relu": np.maximum(NORMAL, 0),
    "relu6": np.clip(NORMAL * 4, 0, 6).astype(np.float32),
    "outlier": np.append(NORMAL, np.float32(20.0)),
    "heavy": RNG.standard_t(2.5, 50_000).astype(np.float32),
    "small": NORMAL * np.float32(1e-4),
    "large": NORMAL * np.float32(1e4),
}


def brute(values: np.ndarray, position: int, format: IntFormat, zero_point: int) -> float:
    wide = values.astype(float)
    made = fake_quantize(wide, scale_of_position(position), zero_point, format=format)
    return float(np.sum((made - wide) ** 2))


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize(
    ("format", "symmetric"), [(INT8, True), (UINT8, True), (UINT8, False), (IntFormat(4), True)]
)
def test_the_position_is_that_of_the_search_over_the_values(
    name: str, format: IntFormat, symmetric: bool
) -> None:
    values, sketch = VALUES[name], sketch_of([VALUES[name]])
    start = non_overflow(sketch.extent, format, symmetric)
    exact = [brute(values, start.position + i, format, start.zero_point) for i in range(CANDIDATES)]
    found = least_error(segments_of(sketch), sketch.extent, format, symmetric)
    assert found == PowerOfTwo(start.position + int(np.argmin(exact)), start.zero_point)


def test_slack_keeps_a_wider_grid_of_almost_the_same_error() -> None:
    segments = segments_of(sketch_of([VALUES["outlier"]]))
    extent = Extent(float(VALUES["outlier"].min()), 20.0)
    tried = range(non_overflow(extent, INT8, True).position, 10)
    errors = position_errors(segments, tried, INT8, 0)
    for slack in (0.0, 1.0, 10.0):
        found = least_error(segments, extent, INT8, True, slack=slack).position
        assert found == min(
            p for p, error in zip(tried, errors, strict=True) if error <= (1 + slack) * errors.min()
        )
    assert least_error(segments, extent, INT8, True).position > tried[0] == found


@pytest.mark.parametrize("name", VALUES)
def test_errors_lie_within_their_bounds(name: str) -> None:
    values, segments = VALUES[name], segments_of(sketch_of([VALUES[name]]))
    start = non_overflow(Extent(float(values.min()), float(values.max())), INT8, True)
    for i, estimate in enumerate(
        position_errors(segments, range(start.position, start.position + 4), INT8, 0)
    ):
        least, most = squared_error_bounds(segments, scale_of_position(start.position + i), -128, 127)
        assert least <= brute(values, start.position + i, INT8, 0) <= most
        assert least <= estimate <= most


def test_reference_values_of_the_original() -> None:
    """linspace(-1, 1, 1001) then 8.0 has position 4; min-MSE keeps it. linspace(0, 6) in uint8: position 5."""
    ramp = np.append(np.linspace(-1, 1, 1001), 8.0).astype(np.float32)
    sketch = sketch_of([ramp])
    assert non_overflow(sketch.extent, INT8, True) == PowerOfTwo(3, 0)  # at 4 the 8.0 would saturate at 7.94
    assert least_error(segments_of(sketch), sketch.extent, INT8, True) == PowerOfTwo(4, 0)
    assert least_error(segments_of(sketch), sketch.extent, UINT8, True) == PowerOfTwo(4, 128)
    six = sketch_of([np.linspace(0, 6, 601, dtype=np.float32)])
    assert least_error(segments_of(six), six.extent, UINT8, False) == PowerOfTwo(5, 0)
    assert least_error(segments_of(six), six.extent, INT8, False) == PowerOfTwo(5, -128)


def test_zeros_and_nothing_have_position_zero() -> None:
    zeros = sketch_of([np.zeros(5, np.float32)])
    assert least_error(segments_of(zeros), zeros.extent, INT8, True) == PowerOfTwo(0, 0)
    assert least_error(segments_of(Sketch()), Extent(0.0, 0.0), UINT8, True) == PowerOfTwo(0, 128)


def test_ties_keep_the_smaller_position() -> None:
    """Whole numbers are exact at every position that holds them."""
    whole = sketch_of([np.array([0.0, 100.0], np.float32)])
    assert least_error(segments_of(whole), whole.extent, INT8, True) == PowerOfTwo(0, 0)


def test_an_exact_power_of_two_range_is_not_widened() -> None:
    assert non_overflow(Extent(0.0, 255.0), UINT8, False) == PowerOfTwo(0, 0)
    assert non_overflow(Extent(-128.0, 127.5), INT8, True) == PowerOfTwo(0, 0)


def test_ends_are_those_of_the_grid() -> None:
    assert PowerOfTwo(2, 128).ends(UINT8) == Extent(-32.0, 31.75)

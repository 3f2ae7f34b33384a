"""Ranges from sketches against their definitions on the values."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.calibration.ranges import min_max_range, mse_range, percentile_range
from quantforge.calibration.segments import segments_of
from quantforge.calibration.sketch import Extent, Sketch, sketch_of
from quantforge.numerics import affine_parameters, fake_quantize
from quantforge.numerics.formats import INT8, UINT8, IntFormat

RNG = np.random.default_rng(7)
VALUES = {
    "normal": RNG.standard_normal(40_000).astype(np.float32),
    "relu": np.maximum(RNG.standard_normal(40_000), 0).astype(np.float32),
    "heavy": RNG.standard_t(3, 40_000).astype(np.float32),
    "shifted": (RNG.standard_normal(40_000) + 1.5).astype(np.float32),
}
BIN = 1 / 128


def brute(values: np.ndarray, lo: float, hi: float, format: IntFormat, symmetric: bool) -> float:
    scale, zero = affine_parameters(lo, hi, format, symmetric)
    wide = values.astype(float)
    return float(np.mean((fake_quantize(wide, scale, zero, format=format) - wide) ** 2))


@pytest.mark.parametrize("name", VALUES)
def test_min_max_is_exact(name: str) -> None:
    values = VALUES[name]
    assert min_max_range(segments_of(sketch_of([values]))) == Extent(float(values.min()), float(values.max()))


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("percentile", [90.0, 99.9, 99.999, 100.0])
def test_percentiles_are_within_one_bin(name: str, percentile: float) -> None:
    values, segments = VALUES[name].astype(float), segments_of(sketch_of([VALUES[name]]))
    top = float(np.percentile(np.abs(values), percentile))
    found = percentile_range(segments, percentile, symmetric=True)
    assert found.hi == pytest.approx(top, rel=BIN) and found.lo == -found.hi
    found = percentile_range(segments, percentile, symmetric=False)
    cut = (100 - percentile) / 2
    assert found.lo == pytest.approx(min(float(np.percentile(values, cut)), 0.0), rel=BIN, abs=1e-40)
    assert found.hi == pytest.approx(max(float(np.percentile(values, 100 - cut)), 0.0), rel=BIN, abs=1e-40)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize(("format", "symmetric"), [(INT8, True), (UINT8, False), (IntFormat(4), True)])
def test_the_mse_range_is_as_good_as_a_search_over_the_values(
    name: str, format: IntFormat, symmetric: bool
) -> None:
    values = VALUES[name]
    found = mse_range(segments_of(sketch_of([values])), format, symmetric)
    lo, hi = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    shares = np.exp2(-np.arange(0, 5, 1 / 32))
    if symmetric:
        top = max(-lo, hi)
        best = min(brute(values, -top * share, top * share, format, True) for share in shares)
    else:
        best = min(brute(values, lo * share, hi * share, format, False) for share in shares)
    # evenness within bins and the candidates' spacing: together under 2 percent in error, 0.1 dB
    assert brute(values, found.lo, found.hi, format, symmetric) <= 1.02 * best


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize(("format", "symmetric"), [(INT8, True), (UINT8, False), (IntFormat(4), True)])
def test_slack_widens_the_range_as_far_as_the_error_allows(
    name: str, format: IntFormat, symmetric: bool
) -> None:
    values, segments = VALUES[name], segments_of(sketch_of([VALUES[name]]))
    ranges = [mse_range(segments, format, symmetric, slack=slack) for slack in (0.0, 0.1, 1.0)]
    widths = [found.hi - found.lo for found in ranges]
    errors = [brute(values, found.lo, found.hi, format, symmetric) for found in ranges]
    assert widths == sorted(widths) and widths[0] < widths[2]
    # either end may take all of the slack, and what bins and candidates leave open is 2 percent
    assert errors[1] <= 1.02 * 1.1**2 * errors[0] and errors[2] <= 1.02 * 2.0**2 * errors[0]


def test_nothing_and_zeros() -> None:
    for segments in (segments_of(Sketch()), segments_of(sketch_of([np.zeros(4, np.float32)]))):
        assert min_max_range(segments) == Extent(0.0, 0.0)
        assert percentile_range(segments, 99.0, False) == Extent(0.0, 0.0)
        assert mse_range(segments, INT8, True) == Extent(0.0, 0.0)
        assert mse_range(segments, UINT8, False) == Extent(0.0, 0.0)


def test_an_outlier_is_clipped() -> None:
    values = np.append(VALUES["normal"], np.float32(60.0))
    assert mse_range(segments_of(sketch_of([values])), IntFormat(4), True).hi < 30

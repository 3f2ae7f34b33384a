"""Segments cover the values, quantiles stay within a bin, histograms keep the count."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.calibration.segments import linear_histogram, outside, quantile, segments_of
from quantforge.calibration.sketch import Sketch, sketch_of

RNG = np.random.default_rng(3)
NORMAL = RNG.standard_normal(50_000).astype(np.float32)
BIN = 1 / 128


def test_segments_are_ascending_and_hold_every_value() -> None:
    segments = segments_of(sketch_of([NORMAL]))
    assert np.all(np.diff(segments.lo) > 0) and np.all(segments.lo <= segments.hi)
    assert segments.total == NORMAL.size
    assert (segments.lo[0], segments.hi[-1]) == (NORMAL.min(), NORMAL.max())


def test_a_single_value_is_a_point() -> None:
    segments = segments_of(sketch_of([np.full(5, 3.3, np.float32)]))
    assert segments.lo.tolist() == segments.hi.tolist() == [float(np.float32(3.3))]
    assert segments.power == pytest.approx(float(np.float32(3.3)) ** 2)


def test_nan_and_infinity_are_left_out() -> None:
    segments = segments_of(sketch_of([np.array([1.0, np.inf, np.nan, -np.inf], np.float32)]))
    assert segments.total == 1.0


def test_an_empty_sketch_has_no_segments() -> None:
    segments = segments_of(Sketch())
    assert segments.total == segments.power == 0.0
    counts, edges = linear_histogram(segments, 4)
    assert counts.tolist() == [0.0] * 4 and edges.size == 5


def test_power_is_that_of_the_values() -> None:
    # each square is known to within twice a bin's relative width; evenly spread values average that out
    assert segments_of(sketch_of([NORMAL])).power == pytest.approx(
        float(np.mean(NORMAL.astype(float) ** 2)), rel=BIN
    )


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.5, 0.9, 0.99999, 1.0])
def test_quantiles_are_within_one_bin(share: float) -> None:
    exact = float(np.quantile(NORMAL.astype(float), share))
    assert abs(quantile(segments_of(sketch_of([NORMAL])), share) - exact) <= abs(exact) * BIN + 1e-40


def test_absolute_mirrors_negative_values() -> None:
    both = segments_of(sketch_of([NORMAL])).absolute()
    alone = segments_of(sketch_of([np.abs(NORMAL)]))
    assert both.total == alone.total
    assert quantile(both, 0.99) == pytest.approx(quantile(alone, 0.99), rel=BIN)


def test_a_histogram_keeps_the_count_and_the_shape() -> None:
    counts, edges = linear_histogram(segments_of(sketch_of([NORMAL])), 64)
    exact, exact_edges = np.histogram(NORMAL.astype(float), 64)
    np.testing.assert_allclose(edges, exact_edges)
    assert counts.sum() == pytest.approx(NORMAL.size)
    # a bin of the sketch at |x| = 4 is 1/4 of a histogram bin wide: at most that share of two bins can move
    assert np.abs(np.cumsum(counts) - np.cumsum(exact)).max() <= 0.01 * NORMAL.size


def test_a_histogram_of_one_value() -> None:
    counts, edges = linear_histogram(segments_of(sketch_of([np.zeros(7, np.float32)])), 4)
    assert counts.sum() == 7 and edges[0] < 0 < edges[-1]


def test_a_histogram_may_cover_a_part() -> None:
    counts, _ = linear_histogram(segments_of(sketch_of([NORMAL])), 8, -1.0, 1.0)
    assert counts.sum() == pytest.approx(np.count_nonzero(np.abs(NORMAL) <= 1), rel=BIN)


def test_values_outside_a_range() -> None:
    segments = segments_of(sketch_of([NORMAL]))
    assert outside(segments, -2.0, 1.0) == pytest.approx(
        np.count_nonzero((NORMAL < -2) | (NORMAL > 1)), rel=BIN
    )
    assert outside(segments, -100.0, 100.0) == 0.0
    assert outside(segments, 50.0, 60.0) == NORMAL.size

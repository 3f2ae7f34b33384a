"""The divergences equal their NumPy twin, and the choice is ONNX Runtime's on the same histogram."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.calibration.entropy import divergences, divergences_reference, entropy_range
from quantforge.calibration.segments import linear_histogram, segments_of
from quantforge.calibration.sketch import Extent, Sketch, sketch_of

RNG = np.random.default_rng(11)
VALUES = {
    "normal": RNG.standard_normal(50_000).astype(np.float32),
    "heavy": RNG.standard_t(3, 50_000).astype(np.float32),
    "relu": np.maximum(RNG.standard_normal(50_000), 0).astype(np.float32),
}


def histogram(values: np.ndarray, bins: int) -> np.ndarray:
    top = float(np.abs(values).max())
    return np.histogram(values, bins, (-top, top))[0].astype(np.int64)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("bins", [128, 129, 256])
def test_the_kernel_equals_its_twin(name: str, bins: int) -> None:
    counts = histogram(VALUES[name], bins)
    # the same sums in another order: equal to within rounding
    np.testing.assert_allclose(
        divergences(counts, 128), divergences_reference(counts, 128), rtol=1e-9, atol=1e-12
    )


def test_undefined_divergences_are_infinite() -> None:
    empty = np.zeros(128, np.int64)
    assert np.isinf(divergences(empty, 64)).all() and np.isinf(divergences_reference(empty, 64)).all()


@pytest.mark.parametrize("name", VALUES)
def test_the_range_is_the_one_onnx_runtime_chooses(name: str) -> None:
    calibrate = pytest.importorskip("onnxruntime.quantization.calibrate")
    pytest.importorskip("scipy")
    segments = segments_of(sketch_of([VALUES[name]]))
    lo, hi = float(segments.lo[0]), float(segments.hi[-1])
    top = max(-lo, hi)
    shares, edges = linear_histogram(segments, 256, -top, top)
    collector = calibrate.HistogramCollector("entropy", False, 256, 128, 99.99, "mse")
    ends = (np.rint(shares).astype(np.int64), edges, np.float64(lo), np.float64(hi))
    expected = collector.get_entropy_threshold(ends, 128)
    found = entropy_range(segments, 256, 128)
    width = 2 * top / 256
    # ONNX Runtime adds up in float32, so candidates that are equal to six digits may swap
    assert found.lo == pytest.approx(float(expected[0]), abs=width)
    assert found.hi == pytest.approx(float(expected[1]), abs=width)


def test_with_as_many_bins_as_levels_it_is_the_full_range() -> None:
    values = VALUES["heavy"]
    found = entropy_range(segments_of(sketch_of([values])), 128, 128)
    assert found == Extent(float(values.min()), float(values.max()))


def test_zeros_and_nothing() -> None:
    assert entropy_range(segments_of(Sketch())) == Extent(0.0, 0.0)
    assert entropy_range(segments_of(sketch_of([np.zeros(3, np.float32)]))) == Extent(0.0, 0.0)

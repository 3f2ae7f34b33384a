"""Counting: the compiled kernel equals its NumPy twin, sketches add, and nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.calibration import sketch as module
from quantforge.calibration.sketch import (
    BINS,
    Extent,
    Sketch,
    count_bits,
    count_bits_reference,
    merged,
    sketch_of,
)


def bits_of(*values: float) -> np.ndarray:
    return np.array(values, np.float32).view(np.uint32)


@pytest.mark.parametrize("size", [1, 2, 3, 8191, 8192, 8193, 20001])
def test_the_kernel_equals_its_twin(size: int) -> None:
    bits = np.random.default_rng(size).integers(0, 1 << 32, size, dtype=np.uint32)
    fast, slow = np.zeros((BINS, 2), np.uint32), np.zeros((BINS, 2), np.uint32)
    extremes = np.zeros((2, 3), np.int64)
    count_bits(bits, fast, extremes[0])
    count_bits_reference(bits, slow, extremes[1])
    np.testing.assert_array_equal(extremes[0], extremes[1])
    np.testing.assert_array_equal(fast.sum(axis=1), slow.sum(axis=1))


@pytest.mark.parametrize(
    ("values", "lo", "hi"),
    [
        ((1.0, 2.0), 1.0, 2.0),
        ((-1.0, -2.0), -2.0, -1.0),
        ((-3.0, 0.0, 5.0), -3.0, 5.0),
        ((0.0, -0.0), 0.0, 0.0),
        ((-0.0, -4.0), -4.0, 0.0),
        ((1e-45, 3.4028235e38), 1e-45, 3.4028235e38),
    ],
)
def test_the_extremes_are_exact(values: tuple[float, ...], lo: float, hi: float) -> None:
    array = np.array(values, np.float32)
    assert Sketch().add(array) == Extent(float(np.float32(lo)), float(np.float32(hi)))


def test_nan_and_infinities_are_counted_apart_from_the_extremes() -> None:
    sketch = sketch_of([np.array([1.0, np.nan, -np.inf, np.inf, np.inf, -2.0], np.float32)])
    assert (sketch.count, sketch.finite, sketch.nans, sketch.infinities) == (6, 2, 1, (1, 2))
    assert (sketch.lo, sketch.hi) == (-2.0, 1.0)
    assert sketch_of([np.array([-np.nan], np.float32)]).nans == 1
    assert sketch_of([np.array([np.nan], np.float32)]).extent.empty


def test_an_empty_array_is_noted() -> None:
    sketch = Sketch()
    assert sketch.add(np.zeros((0, 4), np.float32)).empty
    assert (sketch.count, sketch.empty_arrays, sketch.finite) == (0, 1, 0)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.float32])
def test_every_float_dtype_counts_as_float32(dtype: type) -> None:
    values = np.random.default_rng(0).standard_normal((4, 5)).astype(dtype)
    assert sketch_of([values]) == sketch_of([values.astype(np.float32)])


def test_layout_does_not_matter() -> None:
    values = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)
    assert sketch_of([values.T, values[::2]]) == sketch_of([np.ascontiguousarray(values), values[::2].copy()])


def test_counters_are_folded_before_they_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FOLD_AT", 10)
    values = np.array([1.0, 1.0, 2.0], np.float32)
    sketch = sketch_of([values] * 8)
    assert sketch.counts[0x3F80] == 16 and sketch.counts[0x4000] == 8
    bins, counts = sketch.occupied()
    assert (bins.tolist(), counts.tolist()) == ([0x3F80, 0x4000], [16, 8])
    assert sketch._lanes.sum() <= 10


def test_merging_equals_counting_everything() -> None:
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(1000).astype(np.float32) for _ in range(3)]
    total = merged(sketch_of([array]) for array in arrays[::-1])
    assert total == sketch_of(arrays)
    assert total.count == int(total.counts.sum()) == 3000


def test_clearing_forgets_everything() -> None:
    sketch = sketch_of([np.array([1.0, np.nan], np.float32)])
    sketch.clear()
    assert sketch == Sketch()
    sketch.add(np.array([3.0], np.float32))
    assert sketch == sketch_of([np.array([3.0], np.float32)])


def test_a_restored_sketch_is_equal() -> None:
    sketch = sketch_of([np.array([1.0, -2.5, 0.0], np.float32)])
    assert Sketch.restored(*sketch.occupied(), sketch.extent) == sketch

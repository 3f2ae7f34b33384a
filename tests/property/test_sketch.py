"""Sketches add in any order, and what is derived from them stays within its stated bounds, for any numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from quantforge.calibration.errors import squared_error, squared_error_bounds
from quantforge.calibration.positions import CANDIDATES, least_error, non_overflow
from quantforge.calibration.segments import linear_histogram, quantile, segments_of
from quantforge.calibration.sketch import merged, sketch_of
from quantforge.calibration.store import SketchKey, load_sketches, save_sketches
from quantforge.numerics import fake_quantize
from quantforge.numerics.formats import INT8, UINT8, IntFormat
from quantforge.numerics.positions import scale_of_position

ANY = arrays.arrays(np.float32, st.integers(0, 60), elements=st.floats(width=32))
# Values of activations: from 1e-30 up, beyond which squares leave float64's comfortable range
FINITE = arrays.arrays(
    np.float32,
    st.integers(1, 80),
    elements=st.floats(-1e6, 1e6, width=32).map(lambda v: v if abs(v) > 1e-30 else 0.0),
)
FORMATS = st.sampled_from([INT8, UINT8, IntFormat(4), IntFormat(16), IntFormat(8, narrow=True)])


@given(st.lists(ANY, min_size=1, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_order_and_grouping_do_not_matter(parts: list[np.ndarray], random: object) -> None:
    whole = sketch_of(parts)
    shuffled = list(parts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    left = merged([merged([sketch_of([p]) for p in shuffled[:2]]), sketch_of(shuffled[2:])])
    right = merged([sketch_of(shuffled[:1]), sketch_of(shuffled[1:])])
    assert left == right == whole
    joined = sketch_of([np.concatenate(parts)])
    assert (joined.count, joined.extent) == (whole.count, whole.extent)
    np.testing.assert_array_equal(joined.counts, whole.counts)


@given(ANY)
@settings(max_examples=60, deadline=None)
def test_the_sketch_knows_exactly_what_numpy_says(values: np.ndarray) -> None:
    sketch, finite = sketch_of([values]), values[np.isfinite(values)]
    assert (sketch.nans, sum(sketch.infinities)) == (np.isnan(values).sum(), np.isinf(values).sum())
    if finite.size:
        assert (sketch.lo, sketch.hi) == (finite.min(), finite.max())
    assert segments_of(sketch).total == finite.size


@given(FINITE, st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_quantiles_are_within_a_bin(values: np.ndarray, share: float) -> None:
    ordered = np.sort(values.astype(float))
    rank = share * (ordered.size - 1)
    around = ordered[int(np.floor(rank)) : int(np.ceil(rank)) + 1]
    exact = float(np.quantile(ordered, share))
    # each of the two neighbours is known to one bin; the rest is rounding of the interpolation
    allowed = np.abs(around).max() * (1 / 128 + 1e-9)
    assert abs(quantile(segments_of(sketch_of([values])), share) - exact) <= allowed + 1e-40


@given(FINITE, FORMATS, st.integers(-6, 10), st.integers(-40, 40))
@settings(max_examples=150, deadline=None)
def test_the_error_lies_within_its_bounds(
    values: np.ndarray, format: IntFormat, position: int, zero: int
) -> None:
    zero = min(max(zero, format.qmin), format.qmax)
    step, wide = scale_of_position(position), values.astype(float)
    exact = float(np.sum((fake_quantize(wide, step, zero, format=format) - wide) ** 2))
    segments = segments_of(sketch_of([values]))
    low, high = float(format.qmin - zero), float(format.qmax - zero)
    least, most = squared_error_bounds(segments, step, low, high)
    slack = 1e-9 * most + 1e-18 * step * step  # rounding of sums
    assert least - slack <= exact <= most + slack
    assert least - slack <= squared_error(segments, np.array([step]), low, high)[0] <= most + slack


@given(FINITE, FORMATS, st.booleans())
@settings(max_examples=150, deadline=None)
def test_another_position_is_chosen_only_when_the_bounds_overlap(
    values: np.ndarray, format: IntFormat, symmetric: bool
) -> None:
    sketch, wide = sketch_of([values]), values.astype(float)
    segments = segments_of(sketch)
    start = non_overflow(sketch.extent, format, symmetric)
    tried = range(start.position, start.position + CANDIDATES)
    zero = start.zero_point
    exact = [
        float(np.sum((fake_quantize(wide, scale_of_position(p), zero, format=format) - wide) ** 2))
        for p in tried
    ]
    best = tried[int(np.argmin(exact))]
    found = least_error(segments, sketch.extent, format, symmetric).position
    if found != best:
        low, high = float(format.qmin - zero), float(format.qmax - zero)
        chosen = squared_error_bounds(segments, scale_of_position(found), low, high)
        other = squared_error_bounds(segments, scale_of_position(best), low, high)
        assert chosen[0] <= other[1] * (1 + 1e-9)


@given(st.integers(0, 2**31), st.floats(-8, 8), st.sampled_from(["normal", "relu", "laplace", "relu6"]))
@settings(max_examples=40, deadline=None)
def test_for_spread_out_values_the_position_is_that_of_the_values(
    seed: int, octave: float, kind: str
) -> None:
    """Unless two positions are within 2 percent in error (0.1 dB) of each other, the choice is the same."""
    rng = np.random.default_rng(seed)
    values = (rng.laplace(size=4000) if kind == "laplace" else rng.standard_normal(4000)) * 2.0**octave
    if kind.startswith("relu"):
        values = np.clip(values, 0, 6 if kind == "relu6" else np.inf)
    values = values.astype(np.float32)
    sketch, wide = sketch_of([values]), values.astype(float)
    start = non_overflow(sketch.extent, INT8, True).position
    exact = [
        float(np.sum((fake_quantize(wide, scale_of_position(start + i), 0, format=INT8) - wide) ** 2))
        for i in range(CANDIDATES)
    ]
    found = least_error(segments_of(sketch), sketch.extent, INT8, True).position
    assert exact[found - start] <= 1.02 * min(exact)


@given(FINITE, st.integers(1, 64))
@settings(max_examples=60, deadline=None)
def test_histograms_keep_the_count(values: np.ndarray, bins: int) -> None:
    counts, edges = linear_histogram(segments_of(sketch_of([values])), bins)
    assert counts.size == bins == edges.size - 1
    assert counts.min() >= -1e-9
    np.testing.assert_allclose(counts.sum(), values.size, rtol=1e-9)


def test_a_saved_sketch_is_the_same(tmp_path_factory: object) -> None:
    from quantforge.calibration.runner import Calibration

    folder = tmp_path_factory.mktemp("sketches")  # type: ignore[attr-defined]

    @given(st.dictionaries(st.text(max_size=8), ANY, max_size=3))
    @settings(max_examples=20, deadline=None)
    def saved(tensors: dict[str, np.ndarray]) -> None:
        sketches = {name: sketch_of([values]) for name, values in tensors.items()}
        save_sketches(folder / "s.npz", Calibration(sketches, 1, 1), SketchKey("m", "d"))
        assert load_sketches(folder / "s.npz").sketches == sketches

    saved()

"""The clipped range of least information loss (Kullback-Leibler divergence), as ONNX Runtime defines it.

With a histogram of equal bins over [-T, T], T the largest magnitude, and a number of levels: for every i from half
the levels to half the bins, the middle 2 i + 1 bins are the candidate range. p is its histogram with what lies
outside added to its end bins; q merges its bins into the levels and spreads each level evenly again. Both have
their zeros lifted to 1e-4. The candidate with the least sum p log(p / q) wins, the narrowest of equal ones.

ONNX Runtime counts the values in 128 bins for 128 levels, which leaves one candidate, the full range. Here the
histogram has 512 bins: in the top octave that is one bin of the sketch, so the sketch is finer than the histogram
almost everywhere. The ends differ from those of a histogram of the values by one bin, T / 256, where two candidates
are about equal.

Reference: Migacz, 8-bit Inference with TensorRT (GTC 2017); `HistogramCollector.get_entropy_threshold`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quantforge.calibration.segments import Floats, Segments, linear_histogram
from quantforge.calibration.sketch import Extent
from quantforge.numerics.compiled import compiled

BINS = 512
LEVELS = 128
_LIFT = 1e-4
Counts = NDArray[np.int64]


def entropy_range(segments: Segments, bins: int = BINS, levels: int = LEVELS) -> Extent:
    """The range of least divergence, within the extremes of the values."""
    if not segments.lo.size:
        return Extent(0.0, 0.0)
    lo, hi = float(segments.lo[0]), float(segments.hi.max())
    top = max(-lo, hi)
    if top <= 0.0:
        return Extent(min(lo, 0.0), max(hi, 0.0))
    shares, edges = linear_histogram(segments, bins, -top, top)
    best = int(np.argmin(divergences(np.rint(shares).astype(np.int64), levels)))
    half = levels // 2 + best
    return Extent(
        max(float(edges[bins // 2 - half]), lo), min(float(edges[min(bins // 2 + half + 1, bins)]), hi)
    )


def divergences_reference(histogram: Counts, levels: int) -> Floats:
    """The definition of `divergences`, in NumPy."""
    middle, found = histogram.size // 2, []
    for half in range(levels // 2, middle + 1):
        start, end = middle - half, min(middle + half + 1, histogram.size)
        inside = histogram[start:end]
        p = inside.copy()
        p[0] += histogram[:start].sum()
        p[-1] += histogram[end:].sum()
        merged, q = inside.size // levels, np.zeros(inside.size, np.int64)
        for level in range(levels):
            cells = slice(level * merged, (level + 1) * merged)
            total = inside[cells].sum() if level < levels - 1 else inside[cells.start :].sum()
            occupied = np.count_nonzero(p[cells])
            q[cells] = total // occupied if occupied else 0
        found.append(_divergence(_lifted(p), _lifted(q)))
    return np.array(found)


def _divergence(a: Floats | None, b: Floats | None) -> float:
    if a is None or b is None:
        return np.inf
    a, b = a / a.sum(), b / b.sum()
    return float(np.sum(a * np.log(a / b)))


def _lifted(p: Counts) -> Floats | None:
    """`p` with 1e-4 in place of zeros, taken from the others; None when too little is left."""
    zeros = int(np.count_nonzero(p == 0))
    if zeros == p.size or _LIFT * zeros / (p.size - zeros) >= 1.0:
        return None
    return np.where(p == 0, _LIFT, p - _LIFT * zeros / (p.size - zeros))


def divergences(histogram: Counts, levels: int) -> Floats:
    """Divergence of each candidate, from the narrowest to the full range; inf where it is not defined.

    Args:
        histogram: Counts of equal bins around zero, int64 [bins].
        levels: Number of quantized levels, at most the number of bins.
    """
    found = np.full(histogram.size // 2 - levels // 2 + 1, np.inf)
    before = np.zeros((2, histogram.size + 1), np.int64)
    np.cumsum(histogram, out=before[0, 1:])
    np.cumsum(histogram != 0, out=before[1, 1:])
    _fill_divergences(histogram, levels, before, np.zeros(levels), found)
    return found


@compiled("int64[1] const", "int64", "int64[2] const", "float64[1]", "float64[1]")
def _fill_divergences(histogram: Counts, levels: int, before: Counts, merged: Floats, out: Floats) -> None:
    """Fill `out` with the divergence of each candidate.

    `before` [2, bins + 1] holds the number of values and of occupied bins before each bin; `merged` [levels] is
    scratch: what each bin of a level has after merging and spreading.
    """
    bins, middle, first = histogram.size, histogram.size // 2, levels // 2
    everything = np.float64(before[0, bins])
    for half in range(first, middle + 1):
        start, end = middle - half, min(middle + half + 1, bins)
        size = end - start
        width = size // levels
        head, tail = (
            histogram[start] + before[0, start],
            histogram[end - 1] + before[0, bins] - before[0, end],
        )
        # bins at the ends that only what lies outside fills
        new_head, new_tail = histogram[start] == 0 and head > 0, histogram[end - 1] == 0 and tail > 0
        p_zeros = size - (before[1, end] - before[1, start]) - np.int64(new_head) - np.int64(new_tail)
        q_zeros, q_sum = size - levels * width, 0.0
        for level in range(levels):
            left = start + level * width
            right = left + width
            total = before[0, end if level == levels - 1 else right] - before[0, left]
            occupied = before[1, right] - before[1, left]
            occupied += np.int64(level == 0 and new_head) + np.int64(right == end and new_tail)
            value = np.floor(np.float64(total) / occupied) if occupied > 0 else 0.0  # exact below 2**53
            merged[level] = value
            q_sum += value * width
            q_zeros += width if value == 0.0 else 0
        if p_zeros == size or q_zeros == size:
            continue
        p_less, q_less = _LIFT * p_zeros / (size - p_zeros), _LIFT * q_zeros / (size - q_zeros)
        if p_less >= 1.0 or q_less >= 1.0:
            continue
        divergence, lifted = 0.0, _LIFT / everything
        log_lifted, log_empty = np.log(lifted), np.log(_LIFT / q_sum)
        for level in range(levels + 1):  # the last one: bins at the end that belong to no level
            left = start + level * width
            right = left + width if level < levels else end
            value = merged[level] if level < levels else 0.0
            log_b = log_empty if value == 0.0 else np.log((value - q_less) / q_sum)
            zeros = right - left
            if before[1, right] > before[1, left] or left == start or right == end:
                for i in range(left, right):
                    count = head if i == start else tail if i == end - 1 else histogram[i]
                    if count > 0:
                        a = (count - p_less) / everything
                        divergence += a * (np.log(a) - log_b)
                        zeros -= 1
            divergence += zeros * lifted * (log_lifted - log_b)
        out[half - first] = divergence

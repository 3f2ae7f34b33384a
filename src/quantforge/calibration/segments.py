"""A sketch as weighted segments of the real line: what ranges, errors and charts are computed from.

Every non-empty bin becomes one segment [lo, hi] with its count, clipped to the exact extremes of the tensor; the
values of a bin are taken to lie evenly in it. A bin is at most 1/128 of its lower edge wide, so the position of any
single value is known to within |x| / 128. Values nearer to zero than 1e-40 count as zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantforge.calibration.sketch import Sketch

Floats = NDArray[np.float64]
_SIGN = 0x8000
_INFINITY = 0x7F80


@dataclass(frozen=True)
class Segments:
    """Ascending segments of values; float64 [n] each.

    Attributes:
        lo: Lower ends.
        hi: Upper ends; equal to `lo` where all values of the segment are known to be equal.
        count: Number of values, whole numbers.
    """

    lo: Floats
    hi: Floats
    count: Floats

    @property
    def total(self) -> float:
        """Number of values."""
        return float(self.count.sum())

    @property
    def power(self) -> float:
        """Mean square of the values."""
        total = self.total
        return float(self.squares @ self.count) / total if total else 0.0

    @property
    def squares(self) -> Floats:
        """Mean square of the values of each segment."""
        return (self.lo * self.lo + self.lo * self.hi + self.hi * self.hi) / 3.0

    def absolute(self) -> Segments:
        """The segments of |x|; those of negative values are mirrored."""
        negative = self.hi <= 0.0
        lo, hi = np.where(negative, -self.hi, self.lo), np.where(negative, -self.lo, self.hi)
        order = np.argsort(lo, kind="stable")
        return Segments(lo[order], hi[order], self.count[order])


def segments_of(sketch: Sketch) -> Segments:
    """The finite values of `sketch` as segments.

    >>> sketch = Sketch()
    >>> _ = sketch.add(np.array([-1.0, 2.0, 2.0], np.float32))
    >>> segments_of(sketch).lo.tolist(), segments_of(sketch).count.tolist()
    ([-1.0, 2.0], [1.0, 2.0])
    """
    bins, counts = sketch.occupied()
    first_negative = np.searchsorted(bins, _SIGN)
    order = np.concatenate([np.arange(bins.size - 1, first_negative - 1, -1), np.arange(first_negative)])
    order = order[(bins[order] & (_SIGN - 1)) < _INFINITY]  # ascending by value
    bins, counts = bins[order], counts[order]
    magnitude = bins & (_SIGN - 1)
    near, far = _edges(magnitude), _edges(magnitude + 1)
    far[magnitude == 0] = 0.0
    negative = bins >= _SIGN
    lo, hi = np.where(negative, -far, near), np.where(negative, -near, far)
    if bins.size:
        lo, hi = np.clip(lo, sketch.lo, sketch.hi), np.clip(hi, sketch.lo, sketch.hi)
    return Segments(lo, hi, counts.astype(np.float64))


def quantile(segments: Segments, share: float) -> float:
    """The value below which `share` (0 to 1) of all values lie, with NumPy's linear interpolation.

    Differs from ``np.quantile`` of the values themselves by at most one bin: |result| / 128 of either sign.
    """
    rank = share * (segments.total - 1.0)
    below = np.floor(rank)
    first = _order_statistic(segments, below)
    second = _order_statistic(segments, min(below + 1.0, segments.total - 1.0))
    return float(first + (second - first) * (rank - below))


def linear_histogram(
    segments: Segments, bins: int, lo: float | None = None, hi: float | None = None
) -> tuple[Floats, Floats]:
    """Counts in `bins` equal bins between `lo` and `hi` (by default the extremes), and their bins + 1 edges.

    A segment that spans several bins is divided evenly, so counts may be fractions.
    """
    if not segments.lo.size:
        return np.zeros(bins), np.linspace(0.0, 1.0, bins + 1)
    low = float(segments.lo[0]) if lo is None else lo
    high = float(segments.hi.max()) if hi is None else hi
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    below = _count_below(segments, edges)
    below[-1] = float(segments.count[segments.lo <= high].sum()) if segments.hi.max() <= high else below[-1]
    return np.diff(below), edges


def outside(segments: Segments, low: float, high: float) -> float:
    """Number of values below `low` or above `high`."""
    ends = np.array([low, high])
    width = segments.hi - segments.lo
    safe = np.where(width > 0, width, 1.0)
    inside = np.clip((np.minimum(segments.hi, ends[1]) - np.maximum(segments.lo, ends[0])) / safe, 0.0, 1.0)
    point = (segments.lo >= low) & (segments.hi <= high)
    return float((1.0 - np.where(width > 0, inside, point)) @ segments.count)


def _edges(magnitude: NDArray[np.int64]) -> Floats:
    edges = (magnitude.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
    edges[np.isinf(edges)] = float(np.finfo(np.float32).max)
    return edges


def _order_statistic(segments: Segments, index: float) -> float:
    """The value number `index` (from 0) in ascending order, evenly spaced within its segment."""
    ends = np.cumsum(segments.count)
    at = min(int(np.searchsorted(ends, index, side="right")), ends.size - 1)
    within = (index - (ends[at] - segments.count[at]) + 0.5) / segments.count[at]
    return float(segments.lo[at] + (segments.hi[at] - segments.lo[at]) * within)


def _count_below(segments: Segments, edges: Floats) -> Floats:
    """Number of values below each edge, by linear interpolation within segments."""
    ends = np.cumsum(segments.count)
    at = np.searchsorted(segments.lo, edges, side="left") - 1  # last segment that starts below the edge
    valid = at >= 0
    k = np.maximum(at, 0)
    width = segments.hi[k] - segments.lo[k]
    share = np.where(
        width > 0, np.clip((edges - segments.lo[k]) / np.where(width > 0, width, 1.0), 0.0, 1.0), 1.0
    )
    return np.where(valid, ends[k] - segments.count[k] * (1.0 - share), 0.0)

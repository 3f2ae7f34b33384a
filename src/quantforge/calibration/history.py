"""Statistics over batches: the range of each batch, and how they become one.

    all           one range of all data; no history is kept
    most common   the range that most batches have, to within a sixteenth of an octave of its width; the widest of
                  those, and the widest group where several are equally common
    mean, median  of the lower and of the upper ends; with power-of-two scales the upper median, so that it is the
                  range of a position that occurred
    max           the widest: least lower end, largest upper end
    moving average, for min-max only: r <- r + c (batch - r), starting from the first batch

With power-of-two scales the range of a batch is that of its grid, so the most common range is the most common
position, and the smallest position (largest scale) where several are equally common.

Reference: PyTorch quantizer, `calib_statistic_method`; ONNX Runtime, `CalibMovingAverageConstant`.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from quantforge.calibration.methods import RangeMethod, RangeRule, ScaleKind, Statistic
from quantforge.calibration.sketch import Extent
from quantforge.diagnostics import InternalError

Ends = NDArray[np.float64]
_GROUPS_PER_OCTAVE = 16


def needs_history(rule: RangeRule) -> bool:
    """Whether `rule` asks for the range of every batch."""
    return rule.statistic is not Statistic.ALL or averages(rule)


def averages(rule: RangeRule) -> bool:
    """Whether `rule` asks for a moving average; only min-max has one."""
    return rule.moving_average is not None and rule.method is RangeMethod.MIN_MAX


def same_ranges(first: RangeRule, second: RangeRule) -> bool:
    """Whether two rules find the same range in a batch, so that a history for one serves the other."""
    return _key(first) == _key(second)


class History:
    """The range of one tensor in every batch that had values of it; 16 bytes per batch.

    >>> history = History()
    >>> for top in (1.0, 2.0, 6.0):
    ...     history.append(Extent(0.0, top))
    >>> history.combined(Statistic.MEAN), history.combined(Statistic.MEDIAN).hi
    (Extent(lo=0.0, hi=3.0), 2.0)
    """

    def __init__(self) -> None:
        self._ends = array("d")

    def __len__(self) -> int:
        return len(self._ends) // 2

    @property
    def ends(self) -> Ends:
        """Lower and upper ends, float64 [batches, 2]."""
        return np.array(self._ends).reshape(-1, 2)

    def append(self, extent: Extent) -> None:
        """Add the range of one batch; an empty one is left out."""
        if not extent.empty:
            self._ends.extend((extent.lo, extent.hi))

    def joined(self, other: History) -> History:
        """Batch by batch the union of two tensors that share one spec.

        Raises:
            InternalError: Q0219 when the two saw a different number of batches.
        """
        if len(self) != len(other):
            found = f"{len(self)} and {len(other)} batches"
            raise InternalError("Q0219", "tensors with one spec", found, "equally many", "report this bug")
        result, a, b = History(), self.ends, other.ends
        both = np.stack([np.minimum(a[:, 0], b[:, 0]), np.maximum(a[:, 1], b[:, 1])], axis=1)
        result._ends.extend(both.reshape(-1).tolist())
        return result

    def combined(self, statistic: Statistic, scales: ScaleKind = ScaleKind.FLOAT) -> Extent:
        """One range of all batches by `statistic`."""
        ends = self.ends
        if not len(self):
            return Extent()
        if statistic is Statistic.MEAN:
            return Extent(float(ends[:, 0].mean()), float(ends[:, 1].mean()))
        if statistic is Statistic.MEDIAN and scales is ScaleKind.FLOAT:
            return Extent(float(np.median(ends[:, 0])), float(np.median(ends[:, 1])))
        if statistic is Statistic.MEDIAN:
            widest_last = np.argsort(ends[:, 1] - ends[:, 0], kind="stable")
            lo, hi = ends[widest_last[len(self) // 2]]
            return Extent(float(lo), float(hi))
        if statistic is Statistic.MOST_COMMON:
            return _most_common(ends)
        return Extent(float(ends[:, 0].min()), float(ends[:, 1].max()))

    def averaged(self, constant: float) -> Extent:
        """The moving average with weight `constant` for each new batch."""
        ends = self.ends
        if not len(self):
            return Extent()
        state = ends[0]
        for batch in ends[1:]:
            state = state + constant * (batch - state)
        return Extent(float(state[0]), float(state[1]))


def _key(rule: RangeRule) -> tuple[object, ...]:
    percentile = rule.percentile if rule.method is RangeMethod.PERCENTILE else None
    slack = rule.slack if rule.method is RangeMethod.MSE else None
    return (rule.method, percentile, slack, rule.format, rule.scales, rule.symmetric)


def _most_common(ends: Ends) -> Extent:
    groups: dict[int, list[Extent]] = defaultdict(list)
    for lo, hi in ends.tolist():
        width = hi - lo
        group = round(_GROUPS_PER_OCTAVE * math.log2(width)) if width > 0 else -(1 << 30)
        groups[group].append(Extent(lo, hi))
    members = max(groups.items(), key=lambda item: (len(item[1]), item[0]))[1]
    return max(members, key=lambda extent: extent.hi - extent.lo)

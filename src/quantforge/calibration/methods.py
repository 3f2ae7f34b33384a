"""The choices of calibration as data: which ranges, which scales, which statistic over batches."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from quantforge.numerics.formats import Format
from quantforge.numerics.rounding import Rounding


class ScaleKind(str, Enum):
    """Which scales are legal: any float, or powers of two only."""

    FLOAT = "float"
    POWER_OF_TWO = "power-of-two"


class RangeMethod(str, Enum):
    """How a range or position is chosen from a sketch."""

    MIN_MAX = "min-max"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    MSE = "mse"  # with power-of-two scales: the min-MSE position search
    NON_OVERFLOW = "non-overflow"  # power-of-two scales only


class Statistic(str, Enum):
    """How batches are combined: one statistic of all data, or one of the per-batch results."""

    ALL = "all"
    MOST_COMMON = "most-common"
    MEAN = "mean"
    MEDIAN = "median"
    MAX = "max"


class RangeRule(Protocol):
    """What calibration reads of a recipe's rule for a tensor (`quantization.recipe.TensorRule` is one)."""

    @property
    def format(self) -> Format:
        """Number format of the tensor."""

    @property
    def scales(self) -> ScaleKind:
        """Which scales are legal."""

    @property
    def symmetric(self) -> bool:
        """Whether zero lies in the middle of the format."""

    @property
    def method(self) -> RangeMethod:
        """How the range is chosen."""

    @property
    def statistic(self) -> Statistic:
        """How batches are combined."""

    @property
    def percentile(self) -> float:
        """Share of the values inside the range, in percent, for the percentile method."""

    @property
    def slack(self) -> float:
        """How far above the least error the widest range may lie, as a share of it, for the mse method."""

    @property
    def moving_average(self) -> float | None:
        """Smoothing constant of min-max over batches; None for the plain extremes."""

    @property
    def rounding(self) -> Rounding:
        """Rounding mode of the spec."""

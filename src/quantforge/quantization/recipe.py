"""The recipe: every choice of a quantization as frozen data. Doors parse their options into one of these."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from quantforge.numerics.formats import INT8, Format
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


@dataclass(frozen=True)
class TensorRule:
    """How one kind of tensor (activations, weights) is quantized."""

    format: Format = INT8
    scales: ScaleKind = ScaleKind.FLOAT
    symmetric: bool = True
    per_channel: bool = False
    method: RangeMethod = RangeMethod.MIN_MAX
    statistic: Statistic = Statistic.ALL
    percentile: float = 99.999
    moving_average: float | None = None  # smoothing constant of min-max over batches
    rounding: Rounding = Rounding.HALF_EVEN

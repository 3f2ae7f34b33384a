"""Exact integers that stand for reals: real = (data - zero_point) * scale / divisor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class IntTensor:
    """A tensor of int64 `data`; `scale` and `zero_point` have one element, or one per slice along `axis`."""

    data: NDArray[np.int64]
    scale: NDArray[np.float64]
    zero_point: NDArray[np.int64]
    axis: int | None = None
    divisor: int = 1

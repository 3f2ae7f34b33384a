"""Where two arrays of one tensor differ, and by how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantforge.debugging.stage import Array, real

RELATIVE = 1e-5  # of the largest number of the tensor: rounding errors of float32 sums
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class ElementDifference:
    """One element: its index (sample first), what either stage has there, the difference in steps of the grid.

    `first` and `second` are integers where the stage holds integers; `steps` is None between real numbers. `exact`
    is the result before rounding, in steps, where it is known.
    """

    index: tuple[int, ...]
    first: float
    second: float
    steps: float | None
    exact: float | None = None


@dataclass(frozen=True)
class Positions:
    """Fractional bits of both sides; None where a side holds real numbers."""

    first: int | None
    second: int | None

    @property
    def step(self) -> int | None:
        """Fractional bits of the grid in whose steps differences are counted; the finer one of two."""
        known = [position for position in (self.first, self.second) if position is not None]
        return max(known) if known else None

    @property
    def exact(self) -> bool:
        """Whether both sides hold integers."""
        return self.first is not None and self.second is not None


def steps_between(first: Array, second: Array, positions: Positions) -> NDArray[np.float64]:
    """second - first, in steps of the grid, or as real numbers where there is none."""
    with np.errstate(invalid="ignore"):  # infinity on both sides
        difference = real(second, positions.second) - real(first, positions.first)
    return difference if positions.step is None else np.ldexp(difference, positions.step)


def differing(
    first: Array, second: Array, positions: Positions, relative: float = RELATIVE
) -> tuple[BoolArray, NDArray[np.float64]]:
    """Which elements differ, and `steps_between`.

    Integers differ when they are not equal. An integer beside a real number differs when the real number would not
    be rounded to it. Real numbers differ by more than `relative` of the largest one; NaN equals NaN.
    """
    steps = steps_between(first, second, positions)
    if positions.exact:
        return steps != 0, steps
    if positions.step is not None:
        return ~(np.abs(steps) <= 0.5), steps
    finite = np.abs(first[np.isfinite(first)], dtype=np.float64)
    limit = relative * float(finite.max(initial=0.0))
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    return ~(same | (np.abs(steps) <= limit)), steps


def element(
    first: Array, second: Array, positions: Positions, index: tuple[int, ...], sample: int = 0
) -> ElementDifference:
    """The difference at `index`; `sample` is added to its first number."""
    steps = steps_between(first[index], second[index], positions)
    place = (index[0] + sample, *index[1:]) if index else (sample,)
    shown = None if positions.step is None else float(steps)
    return ElementDifference(place, first[index].item(), second[index].item(), shown)

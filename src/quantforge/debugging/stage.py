"""A stage of a model on its way to a device: what its tensors are called, and how to compute them.

Stages number the samples of a run alike, so that tensors of two of them can be compared element by element.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quantforge.calibration.samples import InputInfo

Array = NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Signal:
    """A tensor of a stage.

    Attributes:
        name: What it is called in every stage: the name of the value it comes from.
        tensor: What this stage calls it.
        position: Fractional bits of its integers; None where it holds real numbers.
        aliases: Further names under which files may hold it.
    """

    name: str
    tensor: str
    position: int | None = None
    aliases: tuple[str, ...] = ()


class Stage(Protocol):
    """One stage."""

    @property
    def label(self) -> str:
        """What the stage is called in reports."""

    @property
    def inputs(self) -> tuple[InputInfo, ...]:
        """What `run` takes."""

    @property
    def signals(self) -> Mapping[str, Signal]:
        """All tensors by name, in topological order."""

    def run(self, feeds: Arrays) -> dict[str, Array]:
        """Every signal of one batch, by name, as the stage keeps it: integers where the signal has a position."""

    def view(self, name: str, array: Array, shape: tuple[int, ...]) -> Array | None:
        """A signal's array in another stage's order of axes and `shape`; None when it does not fit."""


def from_memory(array: Array, order: tuple[int, ...], shape: tuple[int, ...]) -> Array | None:
    """A tensor that keeps the axes of a value in `order`, in the value's own axes; None when it does not fit."""
    if len(order) != len(shape):
        return None
    found = reshaped(array, tuple(shape[axis] for axis in order))
    return None if found is None else np.transpose(found, [order.index(axis) for axis in range(len(order))])


def reshaped(array: Array, shape: tuple[int, ...]) -> Array | None:
    """`array` in `shape`, without moving an element; None when it has another number of elements."""
    return array.reshape(shape) if array.size == int(np.prod(shape)) else None


def real(array: Array, position: int | None) -> NDArray[np.float64]:
    """The real numbers of a signal, exactly.

    >>> real(np.array([3, -4], np.int8), 2).tolist()
    [0.75, -1.0]
    """
    wide = array.astype(np.float64)
    return wide if position is None else np.ldexp(wide, -position)

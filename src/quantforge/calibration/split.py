"""Calibration data in two parts: what a network is calibrated on, and what it is judged on and never sees before.

With `every` = 4 the samples 3, 7, 11, ... (counted from 0) are held out. Where a model insists on its batch size and
that is more than one, whole batches are held out in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantforge.calibration.data import DataSource
from quantforge.calibration.samples import Chunk
from quantforge.diagnostics import Diagnostic, InputError
from quantforge.graph.execution import sample_count


class DataPart(DataSource):
    """One of the two parts of `whole`; read as often as the whole can be."""

    def __init__(self, whole: DataSource, every: int, held_out: bool) -> None:
        kind = "held out" if held_out else "without those held out"
        self.description = f"{whole.description}, every {ordinal(every)} sample {kind}"
        self.batch_size = whole.batch_size
        self._whole, self._every, self._held_out = whole, every, held_out
        self.samples = None if whole.samples is None else int(self._chosen(whole.samples).sum())

    @property
    def batches(self) -> int | None:
        """Number of batches where it is known in advance."""
        return self._whole.batches if self.divisible else None

    @property
    def divisible(self) -> bool:
        """Whether a batch may be cut into smaller ones."""
        return self._whole.divisible

    @property
    def notices(self) -> tuple[Diagnostic, ...]:
        """What happened to the data so far."""
        return self._whole.notices

    def __iter__(self) -> Iterator[Chunk]:
        seen = 0
        for chunk in self._whole:
            size = sample_count(chunk)
            chosen = self._chosen(seen + size)[seen:]
            seen += size
            if chosen.all():
                yield chunk
            elif chosen.any():
                yield {name: array[chosen] for name, array in chunk.items()}

    def _chosen(self, samples: int) -> NDArray[np.bool_]:
        held_out = held_out_samples(self._whole, self._every, samples)
        return held_out if self._held_out else ~held_out


def held_out_samples(source: DataSource, every: int, samples: int) -> NDArray[np.bool_]:
    """Which of the first `samples` samples of `source` are held out, bool [samples]."""
    together = 1 if source.divisible else source.batch_size or 1
    return np.asarray(np.arange(samples) // together % every == every - 1)


def split(source: DataSource, every: int) -> tuple[DataPart, DataPart]:
    """What to calibrate on, and what to judge on: every `every`-th sample of `source`.

    Raises:
        InputError: Q0525 when `every` is below 2, or no sample would be held out.
    """
    if every < 2:
        raise _too_few("hold_out", f"every {ordinal(every)} sample", "2 or more")
    if source.samples is not None and not held_out_samples(source, every, source.samples).any():
        raise _too_few(source.description, f"{source.samples} samples", f"at least {every}")
    return DataPart(source, every, False), DataPart(source, every, True)


def _too_few(where: str, found: str, expected: str) -> InputError:
    return InputError("Q0525", where, found, expected, "give more samples, or hold out more of them")


def ordinal(number: int) -> str:
    """A number as its ordinal.

    >>> ordinal(2), ordinal(4), ordinal(11), ordinal(23)
    ('2nd', '4th', '11th', '23rd')
    """
    teens: Any = 10 <= number % 100 <= 20
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"

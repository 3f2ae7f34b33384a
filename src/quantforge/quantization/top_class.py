"""How often two networks give the same answer, and the right one, where an output looks like a classifier's.

A score output has shape [batch, classes]; its answer is the class of the largest score, the first of equal ones,
which in integer networks are common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Array

CLASSES = range(2, 100_001)


@dataclass(frozen=True)
class Tally:
    """Samples counted, and on how many of them both networks agree or one is right; None where it does not apply."""

    samples: int = 0
    same: int = 0
    float_right: int | None = None
    quantized_right: int | None = None

    def plus(self, reference: Array, actual: Array, labels: NDArray[np.int64] | None = None) -> Tally:
        """Add one batch of scores [batch, classes]; `labels` [batch] are its true classes.

        >>> Tally().plus(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.0, 2.0], [0.0, 1.0]])).agreement
        0.5
        """
        first, second = reference.argmax(axis=1), actual.argmax(axis=1)
        return Tally(
            self.samples + len(first),
            self.same + int(np.count_nonzero(first == second)),
            None if labels is None else (self.float_right or 0) + int(np.count_nonzero(first == labels)),
            None if labels is None else (self.quantized_right or 0) + int(np.count_nonzero(second == labels)),
        )

    @property
    def agreement(self) -> float | None:
        """Share of samples with the same answer; None without samples."""
        return self.same / self.samples if self.samples else None

    @property
    def float_accuracy(self) -> float | None:
        """Share of samples that the float network gets right; None without labels."""
        return self.float_right / self.samples if self.samples and self.float_right is not None else None

    @property
    def quantized_accuracy(self) -> float | None:
        """Share of samples that the quantized network gets right; None without labels."""
        return (
            self.quantized_right / self.samples if self.samples and self.quantized_right is not None else None
        )


def looks_like_scores(array: Array, samples: int) -> bool:
    """Whether `array` may hold one row of class scores for each of the `samples` of a batch.

    >>> looks_like_scores(np.zeros((8, 10), np.float32), 8), looks_like_scores(np.zeros((8, 1), np.float32), 8)
    (True, False)
    """
    return (
        array.ndim == 2
        and array.dtype.kind == "f"
        and array.shape[0] == samples
        and array.shape[1] in CLASSES
    )

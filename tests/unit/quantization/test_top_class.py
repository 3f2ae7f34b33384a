from __future__ import annotations

import numpy as np
import pytest

from quantforge.quantization.top_class import CLASSES, Tally, looks_like_scores


def scores(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_batches_add_up() -> None:
    tally = Tally()
    tally = tally.plus(scores([1, 2], [2, 1]), scores([1, 3], [1, 2]), np.array([1, 1]))
    tally = tally.plus(scores([5, 0]), scores([7, 0]), np.array([1]))
    assert (tally.samples, tally.agreement) == (3, 2 / 3)
    assert (tally.float_accuracy, tally.quantized_accuracy) == (1 / 3, 2 / 3)


def test_without_labels_or_samples_there_is_nothing_to_say() -> None:
    assert Tally().agreement is None
    tally = Tally().plus(scores([1, 2]), scores([1, 2]))
    assert (tally.float_accuracy, tally.quantized_accuracy) == (None, None)


def test_of_equal_scores_the_first_counts() -> None:
    assert Tally().plus(scores([2, 1, 0]), scores([1, 1, 0])).agreement == 1.0


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((4, 2), np.float32), True),
        (np.zeros((4, 1), np.float32), False),
        (np.zeros((4, 2), np.int64), False),
        (np.zeros((9, 2), np.float32), False),
        (np.zeros((4, 2, 1), np.float32), False),
        (np.zeros((4, CLASSES.stop), np.float16), False),
    ],
    ids=["scores", "one class", "integers", "rows that are not samples", "rank 3", "too many"],
)
def test_what_looks_like_scores(array: np.ndarray, expected: bool) -> None:
    assert looks_like_scores(array, 4) is expected

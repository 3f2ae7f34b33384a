"""The handwritten digits that scikit-learn ships: one fixed split, one normalisation.

An image is 8 x 8 pixels of whole numbers from 0 to 16. The network sees ``(pixel / 16 - 0.5) / 0.5``, which
is float32 in [-1, 1], laid out as [batch, 1, 8, 8]. A quarter of the 1797 images, drawn by class with a fixed
seed, is the test set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

PIXEL_MAX = 16.0
MEAN = 0.5
STD = 0.5


@dataclass(frozen=True)
class Digits:
    """Images [n, 1, 8, 8] float32, normalised, and their labels [n] int64."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]


def load() -> tuple[Digits, Digits]:
    """The training set (1347 images) and the test set (450 images), always the same."""
    pixels, labels = load_digits(return_X_y=True)
    images = ((pixels / PIXEL_MAX - MEAN) / STD).astype(np.float32).reshape(-1, 1, 8, 8)
    split = train_test_split(images, labels.astype(np.int64), test_size=0.25, random_state=0, stratify=labels)
    train_images, test_images, train_labels, test_labels = split
    return Digits(train_images, train_labels), Digits(test_images, test_labels)

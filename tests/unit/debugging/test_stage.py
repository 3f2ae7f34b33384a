"""What stages share."""

from __future__ import annotations

import numpy as np

from quantforge.debugging.stage import real, reshaped


def test_real_numbers_of_integers_are_exact() -> None:
    assert real(np.array([-128, 127], np.int8), -3).tolist() == [-1024.0, 1016.0]
    assert real(np.array([0.5], np.float32), None).dtype == np.float64


def test_an_array_of_another_size_has_no_such_shape() -> None:
    assert reshaped(np.zeros((2, 3)), (3, 2)).shape == (3, 2)  # type: ignore[union-attr]
    assert reshaped(np.zeros((2, 3)), (3, 3)) is None

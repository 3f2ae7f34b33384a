from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import Op, Value
from quantforge.ops.registry import spec

LOWEST = np.finfo(np.float32).min
X = np.array([[1.0, 2.0, 3.0], [0.5, 0.5, 0.5]], np.float32)


def run(*masks: np.ndarray) -> np.ndarray:
    names = tuple(f"m{index}" for index in range(len(masks)))
    op = Op("masked-softmax", "op", ("x", *names), ("y",), {"axis": 1})
    assert spec(op.kind).infer(op, [Value("x", (2, 3))]) == [((2, 3), "float32")]
    return np.asarray(spec(op.kind).compute(op, [X, *masks])[0])


def test_masks_of_booleans_leave_nothing_where_they_are_false() -> None:
    found = run(np.array([[True, True, False], [False, False, False]]))
    share = np.exp(-1.0) / (1 + np.exp(-1.0))
    np.testing.assert_allclose(found, [[share, 1 - share, 0], [0, 0, 0]], rtol=1e-6)
    both = run(np.array([True, True, False]), np.array([[True], [True]]))
    np.testing.assert_allclose(both[1], [0.5, 0.5, 0])


def test_masks_of_floats_are_added_and_do_not_fall_below_the_lowest_number() -> None:
    mask = np.array([[0, 0, LOWEST], [LOWEST, LOWEST, LOWEST]], np.float32)
    np.testing.assert_allclose(run(mask, mask)[1], [1 / 3] * 3, rtol=1e-6)
    np.testing.assert_array_equal(run(mask)[0, 2], 0)
    np.testing.assert_allclose(run(np.zeros(3, np.float32)).sum(1), [1, 1], rtol=1e-6)


def test_it_cannot_do_without_scores() -> None:
    op = Op("masked-softmax", "op", ("",), ("y",), {"axis": 1})
    with pytest.raises(InputError, match="Q0404"):
        spec(op.kind).compute(op, [None])

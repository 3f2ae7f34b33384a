from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import DataType
from tests.unit.runtime.cpu.evaluation import evaluated

X = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)


@pytest.mark.parametrize(
    ("kind", "attrs", "expected"),
    [
        ("identity", {}, X),
        ("reshape", {}, X.reshape(1, 6, 4)),
        ("transpose", {"order": (0, 3, 1, 2)}, X.transpose(0, 3, 1, 2)),
        ("strided_slice", {"begin": (0, 0, 1), "end": (1, 2, 3), "strides": (1, 1, 1)}, X[:, :, 1:3]),
        ("select", {"dim": 2, "index": 1}, X[:, :, 1]),
        ("pad", {"paddings": (0, 0, 1, 0, 0, 0, 0, 0), "constant_values": (2.5,)},
         np.pad(X, [(0, 0), (1, 0), (0, 0), (0, 0)], constant_values=2.5)),
        ("pad", {"paddings": (0, 0, 1, 0, 0, 0, 0, 0), "mode": "REFLECT"},
         np.pad(X, [(0, 0), (1, 0), (0, 0), (0, 0)], mode="reflect")),
        ("nn_channel_shuffle", {"groups": 2}, X[..., [0, 2, 1, 3]]),
    ],
)  # fmt: skip
def test_moves(kind: str, attrs: dict[str, Any], expected: np.ndarray[Any, Any]) -> None:
    np.testing.assert_array_equal(evaluated(kind, [X], expected.shape, **attrs), expected)


def test_joins() -> None:
    assert evaluated("concat", [X, X], axis=3).shape == (1, 2, 3, 8)
    assert evaluated("stack", [X, X], axis=1).shape == (1, 2, 2, 3, 4)


def test_a_reshape_keeps_more_samples_in_front() -> None:
    assert evaluated("flatten", [np.concatenate([X, X])], (1, 24)).shape == (2, 24)
    with pytest.raises(InputError, match=r"Q1203 op"):
        evaluated("reshape", [X], (1, 7))


def test_channels_to_space_and_back() -> None:
    there = evaluated("pixel-shuffle", [X], (1, 4, 6, 1), scale=2, upscale=True)
    np.testing.assert_array_equal(evaluated("pixel-shuffle", [there], X.shape, scale=2, upscale=False), X)
    there = evaluated("gstiling", [X], (1, 4, 6, 1), stride=2, reverse=True)
    np.testing.assert_array_equal(evaluated("gstiling", [there], X.shape, stride=2, reverse=False), X)
    image = np.arange(32, dtype=np.float32).reshape(1, 4, 4, 2)
    there = evaluated("reorg", [image], (1, 2, 2, 8), scale=2, reverse=False)
    np.testing.assert_array_equal(evaluated("reorg", [there], image.shape, scale=2, reverse=True), image)


def test_the_shape_of_a_tensor() -> None:
    assert evaluated("shape", [X], (4,), DataType("INT", 32)).tolist() == [1, 2, 3, 4]


def test_an_unknown_padding() -> None:
    with pytest.raises(InputError, match=r"Q1203 op: found mode 'WRAP'"):
        evaluated("pad", [X], X.shape, paddings=(0,) * 8, mode="WRAP")

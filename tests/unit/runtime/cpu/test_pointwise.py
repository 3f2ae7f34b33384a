from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.unit.runtime.cpu.evaluation import evaluated

X = [-2.0, -0.5, 0.0, 1.0, 8.0]


@pytest.mark.parametrize(
    ("kind", "attrs", "function"),
    [
        ("relu", {}, lambda x: max(x, 0)),
        ("relu6", {}, lambda x: min(max(x, 0), 6)),
        ("leaky-relu", {"alpha": 0.5}, lambda x: x if x > 0 else 0.5 * x),
        ("elu", {"alpha": 1.0}, lambda x: x if x > 0 else math.expm1(x)),
        ("celu", {"alpha": 2.0}, lambda x: x if x > 0 else 2 * math.expm1(x / 2)),
        ("selu", {}, lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x))),
        ("gelu", {}, lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2)))),
        ("mish", {}, lambda x: x * math.tanh(math.log1p(math.exp(x)))),
        ("sigmoid", {}, lambda x: 1 / (1 + math.exp(-x))),
        ("swish", {}, lambda x: x / (1 + math.exp(-x))),
        ("tanh", {}, math.tanh),
        ("hard-tanh", {}, lambda x: min(max(x, -1), 1)),
        ("hard-sigmoid", {}, lambda x: min(max(x + 3, 0), 6) / 6),
        ("hard-swish", {}, lambda x: x * min(max(x + 3, 0), 6) / 6),
        ("exp", {}, math.exp),
        ("neg", {}, lambda x: -x),
        ("sin", {}, math.sin),
        ("aten__cos", {}, math.cos),
        ("clamp", {"min": -1.0, "max": 2.0}, lambda x: min(max(x, -1), 2)),
        ("ClippedRelu", {"ceiling": 2.0}, lambda x: min(max(x, 0), 2)),
    ],
)
def test_functions(kind: str, attrs: dict[str, Any], function: Any) -> None:
    found = evaluated(kind, [X], **attrs)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [function(x) for x in X], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("add", 7.0), ("sub", -1.0), ("mul", 12.0), ("div", 0.75), ("min", 3.0), ("max", 4.0)],
)
def test_arithmetic_broadcasts(kind: str, expected: float) -> None:
    found = evaluated(kind, [np.full((2, 3), 3, np.float32), [4.0]])
    assert found.shape == (2, 3)
    assert (found == expected).all()


def test_a_sigmoid_does_not_overflow() -> None:
    assert evaluated("sigmoid", [[-1e4, 1e4]]).tolist() == [0.0, 1.0]


def test_prelu_and_threshold() -> None:
    assert evaluated("prelu", [[[-2.0, -2.0]]], parameters={"weight": [0.5, 0.25]}).tolist() == [[-1.0, -0.5]]
    assert evaluated("threshold", [[1.0, 3.0]], parameters={"threshold": [2.0]}).tolist() == [0, 1]


def test_normalizations() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype(np.float32)
    statistics = {
        "gamma": [1, 2, 1, 1],
        "beta": [0, 1, 0, 0],
        "moving_mean": x.mean((0, 1, 2)),
        "moving_var": x.var((0, 1, 2)),
    }
    normal = evaluated("batchnorm", [x], parameters=statistics, axis=3, epsilon=1e-5)
    np.testing.assert_allclose(normal.mean((0, 1, 2)), [0, 1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(normal.std((0, 1, 2)), [1, 2, 1, 1], rtol=1e-3)
    instance = evaluated("instancenorm", [x], eps=1e-5, affine=False)
    np.testing.assert_allclose(instance.mean((1, 2)), 0, atol=1e-6)
    group = evaluated(
        "groupnorm", [x], parameters={"weight": [2] * 4, "bias": [1] * 4}, num_groups=2, eps=1e-5
    )
    np.testing.assert_allclose(group.reshape(2, 9, 2, 2).mean((1, 3)), 1, atol=1e-6)
    scaled = evaluated("scale", [x], parameters={"scale": [1, 2, 3, 4], "bias": [1, 1, 1, 1]}, axis=3)
    np.testing.assert_allclose(scaled, x * [1, 2, 3, 4] + 1, rtol=1e-6)

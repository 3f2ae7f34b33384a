from __future__ import annotations

import numpy as np

from quantforge.xmodel.model import DataType
from tests.unit.runtime.cpu.evaluation import evaluated

X = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)


def test_reductions() -> None:
    for kind, function in (("mean", np.mean), ("sum", np.sum), ("max", np.max), ("product", np.prod)):
        found = evaluated(f"reduction_{kind}", [X], axis=(1, 2), keep_dims=True)
        np.testing.assert_allclose(found, function(X, axis=(1, 2), keepdims=True), rtol=1e-5)
        assert found.dtype == np.float32
    dpu = evaluated(
        "reduction_mean", [np.ones((1, 3), np.float32)], axis=(1,), keep_dims=False, dpu_factor=(85, 8)
    )
    assert dpu.tolist() == [3 * 85 / 256]


def test_argmax_keeps_its_axis() -> None:
    found = evaluated("argmax", [X], (2, 3, 4, 1), DataType("INT", 32), axis=3)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found[..., 0], X.argmax(-1))


def test_softmax_on_any_axis_without_overflow() -> None:
    np.testing.assert_allclose(evaluated("softmax", [X * 1000], axis=1).sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(evaluated("softmax", [[0.0, np.log(3)]], axis=-1), [0.25, 0.75], rtol=1e-6)
    np.testing.assert_allclose(evaluated("hard-softmax", [[0.0, 1.0]], axis=0), [1 / 3, 2 / 3], rtol=1e-6)


def test_norms() -> None:
    np.testing.assert_allclose(evaluated("l2_normalize", [[3.0, 4.0]], axis=(0,)), [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(evaluated("normalize", [[3.0, 4.0]], dim=0, p=2), [0.6, 0.8], rtol=1e-6)


def test_products() -> None:
    a, b = X[0], X[1]
    found = evaluated(
        "matmul", [a, b], transpose_a=False, transpose_b=True, parameters={"bias": [1, 1, 1, 1]}
    )
    np.testing.assert_allclose(found, a @ b.swapaxes(1, 2) + 1, rtol=1e-4, atol=1e-6)
    weights = np.random.default_rng(1).normal(size=(7, 60)).astype(np.float32)
    found = evaluated("inner-product", [X], (2, 7), axis=1, parameters={"weights": weights})
    np.testing.assert_allclose(found, X.reshape(2, 60) @ weights.T, rtol=1e-4, atol=1e-5)


def test_topk_interleaves_index_and_value() -> None:
    assert evaluated("topk", [[[1.0, 5.0, 3.0]]], (1, 4), k=2).tolist() == [[1, 5, 2, 3]]

from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from tests.unit.runtime.cpu.evaluation import evaluated

X = np.random.default_rng(0).normal(size=(2, 5, 6, 4)).astype(np.float32)
SQUARE = {"kernel": (2, 2), "stride": (1, 1), "pad": (0, 0, 0, 0), "pad_mode": "FLOOR"}


def test_a_convolution_is_a_sum_of_products() -> None:
    weights, bias = np.random.default_rng(1).normal(size=(3, 2, 2, 4)).astype(np.float32), [1.0, 2.0, 3.0]
    found = evaluated("conv2d", [X], (2, 4, 5, 3), parameters={"weights": weights, "bias": bias}, **SQUARE)
    assert found.dtype == np.float32
    expected = (X[1, 2:4, 3:5].astype(np.float64) * weights[2]).sum() + 3
    np.testing.assert_allclose(found[1, 2, 3, 2], expected, rtol=1e-6)


def test_depthwise_and_transposed() -> None:
    weights = np.random.default_rng(1).normal(size=(1, 2, 2, 4)).astype(np.float32)
    found = evaluated("depthwise-conv2d", [X], (2, 4, 5, 4), parameters={"weights": weights}, **SQUARE)
    np.testing.assert_allclose(found[0, 0, 0, 1], (X[0, :2, :2, 1] * weights[0, :, :, 1]).sum(), rtol=1e-5)
    found = evaluated("transposed-conv2d", [X], (2, 6, 7, 1), parameters={"weights": weights}, **SQUARE)
    np.testing.assert_allclose(found[0, 0, 0, 0], X[0, 0, 0].astype(np.float64) @ weights[0, 1, 1], rtol=1e-5)


def test_pools() -> None:
    found = evaluated("maxpool2d", [X], (2, 4, 5, 4), **SQUARE)
    assert found[1, 2, 3, 1] == X[1, 2:4, 3:5, 1].max()
    padded = SQUARE | {"pad": (1, 1, 1, 1)}
    assert evaluated("maxpool2d", [-np.abs(X)], (2, 6, 7, 4), **padded)[0, 0, 0, 0] == -abs(X[0, 0, 0, 0])
    full = evaluated("avgpool2d", [X], (2, 6, 7, 4), **padded, count_include_pad=True)
    np.testing.assert_allclose(full[0, 0, 0, 0], X[0, 0, 0, 0] / 4)
    own = evaluated("avgpool2d", [X], (2, 6, 7, 4), **padded, count_include_pad=False)
    assert own[0, 0, 0, 0] == X[0, 0, 0, 0]
    dpu = evaluated(
        "avgpool2d", [np.ones((1, 3, 3, 1), np.float32)], (1, 1, 1, 1), **{"global": True}, dpu_factor=(7, 6)
    )
    assert dpu.item() == 63 / 64


def test_resizing() -> None:
    row = np.array([0, 100], np.float32).reshape(1, 1, 2, 1)
    found = evaluated("resize", [row], (1, 1, 4, 1), mode="BILINEAR", half_pixel_centers=True)
    assert found.reshape(-1).tolist() == [0, 25, 75, 100]
    assert evaluated("resize", [row], (1, 2, 4, 1), mode="NEAREST")[0, 1].reshape(-1).tolist() == [
        0,
        0,
        100,
        100,
    ]
    with pytest.raises(InputError, match=r"Q1203 op: found mode 'AREA'"):
        evaluated("resize", [row], (1, 1, 4, 1), mode="AREA")

from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from tests.unit.ops.single_op import assert_close, in_onnx_runtime, in_ours, normal

X = normal(2, 6, 4, 5) * 3 + 1


def test_batchnorm_equals_onnx_runtime() -> None:
    arrays = [X, *(normal(6, seed=n) for n in range(3)), np.abs(normal(6, seed=3))]
    expected = in_onnx_runtime("BatchNormalization", arrays, epsilon=1e-3)[0]
    assert_close(in_ours("batchnorm", arrays, epsilon=1e-3)[0], expected)
    last = in_ours("batchnorm", [X.transpose(0, 2, 3, 1), *arrays[1:]], epsilon=1e-3, layout="NHWC")[0]
    assert_close(last.transpose(0, 3, 1, 2), expected)


def test_batchnorm_of_two_axes() -> None:
    arrays = [normal(4, 6), *(normal(6, seed=n) for n in range(3)), np.abs(normal(6, seed=3))]
    assert_close(
        in_ours("batchnorm", arrays, epsilon=1e-5)[0], in_onnx_runtime("BatchNormalization", arrays)[0]
    )


def test_instancenorm_equals_onnx_runtime() -> None:
    arrays = [X, normal(6, seed=1), normal(6, seed=2)]
    assert_close(in_ours("instancenorm", arrays)[0], in_onnx_runtime("InstanceNormalization", arrays)[0])


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_groupnorm_equals_onnx_runtime(groups: int) -> None:
    arrays = [X, normal(6, seed=1), normal(6, seed=2)]
    expected = in_onnx_runtime("GroupNormalization", arrays, opset=21, num_groups=groups)[0]
    assert_close(in_ours("groupnorm", arrays, groups=groups)[0], expected)


@pytest.mark.parametrize("axis", [-1, 2, 1])
@pytest.mark.parametrize("with_beta", [True, False])
def test_layernorm_equals_onnx_runtime(axis: int, with_beta: bool) -> None:
    shape = X.shape[axis:]
    arrays = [X, normal(*shape, seed=1), *([normal(*shape, seed=2)] if with_beta else [])]
    expected = in_onnx_runtime("LayerNormalization", arrays, axis=axis)[0]
    assert_close(in_ours("layernorm", arrays, axis=axis)[0], expected)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [1, -1])
def test_l2_normalize_equals_onnx_runtime(p: int, axis: int) -> None:
    x = X.copy()
    x[0, :, 0, :] = 0.0
    assert_close(
        in_ours("l2-normalize", [x], p=p, axis=axis)[0],
        in_onnx_runtime("LpNormalization", [x], p=p, axis=axis)[0],
    )


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="Q0404 the groupnorm: found 6 channels; expected a multiple of 4"):
        in_ours("groupnorm", [X, normal(6), normal(6)], groups=4)
    with pytest.raises(InputError, match="Q0404 the instancenorm: found 5 parameters for 6 channels"):
        in_ours("instancenorm", [X, normal(5), normal(5)])
    with pytest.raises(InputError, match="Q0404 the l2-normalize: found p = 3; expected 1 or 2"):
        in_ours("l2-normalize", [X], p=3)

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from quantforge.graph import QuantSpec, Value
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.ops.integer import IntTensor, requantize
from quantforge.ops.registry import spec
from tests.unit.ops.single_op import assert_close, in_onnx_runtime, in_ours, make_op, normal


@pytest.mark.parametrize("name", ["mean", "sum", "max", "min"])
@pytest.mark.parametrize("axes", [(2, 3), (1,), (-1,), (0, 2), (0, 1, 2, 3)])
@pytest.mark.parametrize("keepdims", [True, False])
def test_reductions_equal_onnx_runtime(name: str, axes: tuple[int, ...], keepdims: bool) -> None:
    x = normal(2, 3, 4, 5)
    expected = in_onnx_runtime(f"Reduce{name.title()}", [x, np.array(axes)], keepdims=int(keepdims))
    assert_close(in_ours(f"reduction-{name}", [x], axes=axes, keepdims=keepdims)[0], expected[0])


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("keepdims", [True, False])
def test_argmax_equals_onnx_runtime(axis: int, keepdims: bool) -> None:
    x = np.round(normal(3, 4, 5) * 2)
    expected = in_onnx_runtime("ArgMax", [x], axis=axis, keepdims=int(keepdims))
    assert_close(in_ours("argmax", [x], axis=axis, keepdims=keepdims)[0], expected[0], 0.0)


def test_without_axes_everything_is_reduced() -> None:
    assert in_ours("reduction-sum", [np.ones((2, 3), np.float32)], keepdims=False)[0] == 6.0


@pytest.mark.parametrize("kind", ["sum", "max", "min"])
def test_integer_reductions_are_exact(kind: str) -> None:
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 7))
    op = make_op(f"reduction-{kind}", axes=(1, 2))
    result = spec(op.kind).integer(op, [IntTensor.of(x, 0.3, 128)])
    expected = getattr(x - 128, kind)(axis=(1, 2), keepdims=True)
    assert result is not None and np.array_equal(result[0].centered().data, expected)


def test_integer_mean_is_the_exact_ratio_rounded_once() -> None:
    x = np.random.default_rng(0).integers(-128, 128, (4, 3, 7))
    op = make_op("reduction-mean", axes=(2,), keepdims=False)
    result = spec(op.kind).integer(op, [IntTensor.of(x, 2.0**-4)])
    assert result is not None
    rounded = requantize(result[0], QuantSpec.power_of_two(INT8, 5, Rounding.HALF_EVEN)).data
    for i, j in np.ndindex(*rounded.shape):
        assert rounded[i, j] == max(-128, min(127, round(Fraction(int(x[i, j].sum()), 7) * 2)))


def test_mean_with_the_factor_of_the_dpu() -> None:
    """7 x 7: sum times 21 / 1024, as for average pooling (runtime fact sheet, 2.7)."""
    x = np.full((1, 1, 7, 7), 31)
    op = make_op("reduction-mean", axes=(2, 3), dpu_factor=(21, 10))
    result = spec(op.kind).integer(op, [IntTensor.of(x, 1.0)])
    assert result is not None and result[0].data.item() == 49 * 31 * 21 and result[0].scale == 2.0**-10
    assert spec(op.kind).compute(op, [x.astype(np.float32)])[0].item() == np.float32(49 * 31 * 21 / 1024)


def test_shape_of_an_unknown_input() -> None:
    assert spec("reduction-max").infer(make_op("reduction-max", axes=(1,)), [Value("x", None)]) == [
        (None, "float32")
    ]


@pytest.mark.parametrize("kind", ["reduction-sum", "reduction-mean"])
def test_sums_beyond_62_bits_have_no_integer_form(kind: str) -> None:
    huge = IntTensor.of(np.full((2, 2), 2**61), 1.0)
    assert spec(kind).integer(make_op(kind, axes=(1,)), [huge]) is None

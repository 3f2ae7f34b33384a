from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import QuantSpec, Value
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.ops.integer import IntTensor, requantize
from quantforge.ops.registry import spec
from tests.unit.ops.single_op import assert_close, in_onnx_runtime, in_ours, make_op, normal

NATIVE = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "min": "Min", "max": "Max"}
SHAPES = [
    ((2, 3, 4), (2, 3, 4)),
    ((2, 3, 4), (3, 1)),
    ((2, 1, 4), (3, 4)),
    ((2, 3), ()),
    ((3, 1, 1), (2, 3, 4, 5)),
]


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_float_kernels_equal_onnx_runtime(name: str, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    arrays = [normal(*left, seed=1), normal(*right, seed=2) if right else np.float32(1.7)]
    arrays = [np.asarray(a) for a in arrays]
    assert_close(in_ours(f"eltwise-{name}", arrays)[0], in_onnx_runtime(NATIVE[name], arrays)[0], 0.0)


@pytest.mark.parametrize("name", NATIVE)
def test_integer_dtypes_equal_onnx_runtime(name: str) -> None:
    arrays = [np.array([7, -7, 7, -7, 0, 12]), np.array([2, 2, -2, -2, 5, 4])]
    assert in_ours(f"eltwise-{name}", arrays)[0].tolist() == in_onnx_runtime(NATIVE[name], arrays)[0].tolist()


def test_pow_and_where_equal_onnx_runtime() -> None:
    base, exponent = np.abs(normal(2, 3)), normal(3)
    assert_close(in_ours("eltwise-pow", [base, exponent])[0], in_onnx_runtime("Pow", [base, exponent])[0])
    arrays = [normal(2, 3) > 0, normal(2, 3, seed=1), normal(3, seed=2)]
    assert_close(in_ours("where", arrays)[0], in_onnx_runtime("Where", arrays)[0], 0.0)


def test_more_than_two_operands() -> None:
    arrays = [normal(2, 3, seed=n) for n in range(3)]
    assert_close(in_ours("eltwise-add", arrays)[0], in_onnx_runtime("Sum", arrays)[0], 0.0)


ORACLE: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "min": min,
    "max": max,
}


@pytest.mark.parametrize("name", ORACLE)
@pytest.mark.parametrize(("left", "right"), [(6, 4), (4, 6), (-2, 3), (5, 5)])
def test_aligned_integers_are_exact(name: str, left: int, right: int) -> None:
    """Operand i is shifted left by max(f) - f_i (runtime fact sheet, 2.6)."""
    rng = np.random.default_rng(left + 9)
    a, b = rng.integers(-128, 128, (2, 3, 4)), rng.integers(0, 256, (3, 1))
    operands = [IntTensor.of(a, 2.0**-left), IntTensor.of(b, 2.0**-right, 128)]
    result = spec(f"eltwise-{name}").integer(make_op(f"eltwise-{name}", 2), operands)
    finest = max(left, right)
    wide = np.broadcast_arrays(a, b)
    expected = [
        ORACLE[name](int(p) << (finest - left), (int(q) - 128) << (finest - right))
        for p, q in zip(wide[0].reshape(-1), wide[1].reshape(-1), strict=True)
    ]
    assert result is not None
    assert result[0].data.reshape(-1).tolist() == expected
    assert result[0].scale == 2.0**-finest


def half_up(position: int) -> QuantSpec:
    return QuantSpec.power_of_two(INT8, position, Rounding.HALF_UP)


def test_the_published_sum_and_product() -> None:
    """100@6 + -50@4 at 5 is -50; 20@6 times -10@4 at 5 is -6 (2.6)."""
    total = spec("eltwise-add").integer(
        make_op("a", 2), [IntTensor.of([100], 2.0**-6), IntTensor.of([-50], 2.0**-4)]
    )
    assert total is not None and requantize(total[0], half_up(5)).data.tolist() == [-50]
    product = spec("eltwise-mul").integer(
        make_op("m", 2), [IntTensor.of([20], 2.0**-6), IntTensor.of([-10], 2.0**-4)]
    )
    assert product is not None and product[0].data.tolist() == [-200]
    assert requantize(product[0], half_up(5)).data.tolist() == [-6]


def test_the_published_hard_swish() -> None:
    """hard-sigmoid to int8 at 7, then a product: fi = fo = 4 (2.11)."""
    x = IntTensor.of([16, -16, 48, -40], 2.0**-4)
    attrs = {"alpha": 2731 / 16384, "beta": 3 * 2731 / 16384}
    gate = spec("hard-sigmoid").integer(make_op("hard-sigmoid", **attrs), [x])
    assert gate is not None
    gated = requantize(gate[0], half_up(7))
    assert gated.data.tolist() == [85, 43, 127, 11]
    product = spec("eltwise-mul").integer(make_op("m", 2), [x, gated])
    assert product is not None and requantize(product[0], half_up(4)).data.tolist() == [11, -5, 48, -3]


def test_unequal_float_scales_have_no_sum_but_a_product() -> None:
    operands = [IntTensor.of([3], 0.3), IntTensor.of([5], 0.7)]
    assert spec("eltwise-add").integer(make_op("eltwise-add", 2), operands) is None
    product = spec("eltwise-mul").integer(make_op("eltwise-mul", 2), operands)
    assert product is not None and product[0].data.tolist() == [15] and product[0].scale == 0.3 * 0.7
    same = spec("eltwise-sub").integer(make_op("eltwise-sub", 2), [operands[0], IntTensor.of([5], 0.3)])
    assert same is not None and same[0].data.tolist() == [-2] and same[0].scale == 0.3


def test_no_exact_form_with_a_float_operand_or_beyond_62_bits() -> None:
    x = IntTensor.of([3], 0.5)
    for kind in ("eltwise-add", "eltwise-mul", "eltwise-div"):
        assert spec(kind).integer(make_op(kind, 2), [x, np.ones(1, np.float32)]) is None
    huge = IntTensor.of([2**40], 1.0)
    assert spec("eltwise-mul").integer(make_op("eltwise-mul", 2), [huge, huge]) is None
    assert spec("eltwise-add").integer(make_op("eltwise-add", 2), [huge, IntTensor.of([1], 2.0**-30)]) is None


def test_integer_where_selects_on_a_common_scale() -> None:
    condition = np.array([True, False])
    result = spec("where").integer(
        make_op("where", 3), [condition, IntTensor.of([1, 2], 1.0), IntTensor.of([3, 4], 0.5)]
    )
    assert result is not None and result[0].data.tolist() == [2, 4]


def test_a_missing_operand_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="Q0404 the eltwise-add: found eltwise-add without input 1"):
        spec("eltwise-add").infer(make_op("eltwise-add", 2), [Value("x", (2,)), None])
    with pytest.raises(InputError, match="Q0404 the eltwise-add: found sizes 2 and 3 on the same axis"):
        spec("eltwise-add").infer(make_op("eltwise-add", 2), [Value("x", (2,)), Value("y", (3,))])

from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import Value
from quantforge.ops.integer import IntTensor
from quantforge.ops.registry import spec
from tests.unit.ops.single_op import assert_close, in_onnx_runtime, in_ours, make_op, normal


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (4, 5)),
        ((2, 1, 3, 4), (6, 4, 5)),
        ((4,), (4, 5)),
        ((2, 3, 4), (4,)),
        ((4,), (4,)),
    ],
)
def test_matmul_equals_onnx_runtime(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    arrays = [normal(*left, seed=1), normal(*right, seed=2)]
    assert_close(in_ours("matmul", arrays)[0], in_onnx_runtime("MatMul", arrays)[0])


@pytest.mark.parametrize("flipped", [False, True])
def test_inner_product_equals_gemm(flipped: bool) -> None:
    x, weights, bias = normal(3, 4), normal(4, 5), normal(5)
    weights = np.ascontiguousarray(weights.T) if flipped else weights
    expected = in_onnx_runtime("Gemm", [x, weights, bias], transB=int(flipped))
    layout = "OI" if flipped else "IO"
    assert_close(in_ours("inner-product", [x, weights, bias], weight_layout=layout)[0], expected[0])
    assert (
        spec("inner-product").macs(make_op("inner-product", 3), [(3, 4), weights.shape, (5,)], [(3, 5)]) == 60
    )


@pytest.mark.parametrize("bits", [8, 16, 26])
@pytest.mark.parametrize("flipped", [False, True])
def test_integer_accumulators_are_exact(bits: int, flipped: bool) -> None:
    rng = np.random.default_rng(bits)
    high = 2 ** (bits - 1)
    x, weights, bias = (
        rng.integers(-high, high, (3, 40)),
        rng.integers(-high, high, (40, 5)),
        rng.integers(-99, 99, 5),
    )
    stored = weights.T if flipped else weights
    op = make_op("inner-product", 3, weight_layout="OI" if flipped else "IO")
    scale = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    operands = [
        IntTensor.of(x, 0.5, 3),
        IntTensor.of(stored, scale, axis=0 if flipped else 1),
        IntTensor.of(bias, 0.5 * scale, axis=0),
    ]
    result = spec("inner-product").integer(op, operands)
    expected = [
        [
            sum((int(a) - 3) * int(b) for a, b in zip(row, column, strict=True)) + int(bias[m])
            for m, column in enumerate(weights.T)
        ]
        for row in x
    ]
    assert result is not None and result[0].data.tolist() == expected
    assert result[0].axis == 1 and np.array_equal(result[0].scale, 0.5 * scale)


def test_no_exact_form() -> None:
    x = IntTensor.of(np.ones((2, 3)), 0.5)
    op = make_op("matmul", 2)
    assert spec("matmul").integer(op, [x, np.ones((3, 4), np.float32)]) is None
    assert spec("matmul").integer(op, [x, IntTensor.of(np.ones((3, 4)), [1.0, 2.0, 4.0], axis=0)]) is None


def test_shapes_and_refusals() -> None:
    op = make_op("matmul", 2)
    assert spec("matmul").infer(op, [Value("x", ("b", 7, 4)), Value("w", (4, 5))]) == [
        (("b", 7, 5), "float32")
    ]
    assert spec("matmul").infer(op, [Value("x", None), Value("w", (4, 5))]) == [(None, "float32")]
    with pytest.raises(InputError, match=r"Q0404 the matmul: found .* expected equal inner sizes"):
        spec("matmul").infer(op, [Value("x", (3, 4)), Value("w", (5, 4))])
    with pytest.raises(InputError, match=r"Q0404 the matmul: found .* expected equal inner sizes"):
        spec("matmul").compute(op, [normal(3, 4), normal(5, 4)])

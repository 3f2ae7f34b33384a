from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from quantforge.graph import QuantSpec
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.ops.integer import IntTensor, requantize
from quantforge.ops.registry import spec
from tests.unit.ops.single_op import assert_close, in_onnx_runtime, in_ours, make_op, normal

X = np.concatenate([normal(50) * 5, np.array([0.0, -3.0, 3.0, 6.0, -0.0, np.inf, -np.inf], np.float32)])


@pytest.mark.parametrize(
    ("kind", "native", "attrs"),
    [
        ("relu", "Relu", {}),
        ("leaky-relu", "LeakyRelu", {"alpha": 0.1}),
        ("hard-sigmoid", "HardSigmoid", {}),
        ("hard-sigmoid", "HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    ],
)
def test_float_kernels_equal_onnx_runtime(kind: str, native: str, attrs: dict[str, float]) -> None:
    assert_close(in_ours(kind, [X], **attrs)[0], in_onnx_runtime(native, [X], **attrs)[0], 1e-6)


def test_hard_swish_equals_onnx_runtime() -> None:
    x = X[np.isfinite(X)]
    assert_close(in_ours("hard-swish", [x])[0], in_onnx_runtime("HardSwish", [x])[0], 1e-6)


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-1.5, None), (None, 2.25)])
def test_clip_equals_onnx_runtime(low: float | None, high: float | None) -> None:
    x = X[np.isfinite(X)]  # ONNX Runtime holds infinities at the largest float, also where there is no bound
    bounds = [None if bound is None else np.float32(bound) for bound in (low, high)]
    attrs = {name: bound for name, bound in (("min", low), ("max", high)) if bound is not None}
    expected = in_onnx_runtime("Clip", [x, *(b if b is None else np.asarray(b) for b in bounds)])
    assert_close(in_ours("clip", [x], **attrs)[0], expected[0], 0.0)
    if low == 0.0:
        assert_close(in_ours("relu6", [x])[0], expected[0], 0.0)


def test_clip_keeps_integers() -> None:
    assert in_ours("clip", [np.array([-3, 0, 300])], min=-1.0, max=255.0)[0].tolist() == [-1, 0, 255]


def test_prelu_equals_onnx_runtime() -> None:
    x, slope = normal(2, 3, 4, 4), normal(3, 1, 1)
    assert_close(in_ours("prelu", [x, slope])[0], in_onnx_runtime("PRelu", [x, slope])[0], 1e-6)


def exact(kind: str, integers: np.ndarray, scale: float, zero_point: int = 0, **attrs: Any) -> IntTensor:
    result = spec(kind).integer(make_op(kind, **attrs), [IntTensor.of(integers, scale, zero_point)])
    assert result is not None
    return result[0]


def reals(tensor: IntTensor) -> list[Fraction]:
    return [
        Fraction(int(v)) * Fraction(float(tensor.scale)) / tensor.divisor for v in tensor.data.reshape(-1)
    ]


@pytest.mark.parametrize("position", [-4, -1, 0, 3, 8])
@pytest.mark.parametrize("zero_point", [0, -20])
@pytest.mark.parametrize(
    ("kind", "low", "high", "attrs"),
    [
        ("relu", 0, math.inf, {}),
        ("relu6", 0, 6, {}),
        ("clip", Fraction(-5, 2), Fraction(9, 8), {"min": -2.5, "max": 1.125}),
        ("clip", -math.inf, 1, {"max": 1.0}),
    ],
)
def test_integer_clip_is_exact(
    position: int, zero_point: int, kind: str, low: Any, high: Any, attrs: dict[str, float]
) -> None:
    integers = np.arange(-300, 300)
    clipped = exact(kind, integers, 2.0**-position, zero_point, **attrs)
    expected = [
        min(max(Fraction(int(v) - zero_point) / Fraction(2) ** position, low), high) for v in integers
    ]
    assert reals(clipped) == expected


def test_clip_limits_need_a_power_of_two_but_relu_does_not() -> None:
    assert spec("relu6").integer(make_op("relu6"), [IntTensor.of([1], 0.3)]) is None
    assert spec("clip").integer(make_op("clip", max=0.1), [IntTensor.of([1], 0.5)]) is None
    assert exact("relu", np.array([-2, 3]), 0.3).data.tolist() == [0, 3]
    per_channel = IntTensor.of([[-2, 20]], [0.5, 0.25], axis=1)
    result = spec("relu6").integer(make_op("relu6"), [per_channel])
    assert result is not None and (result[0].data * result[0].scale).tolist() == [[0.0, 5.0]]


def test_a_limit_beyond_the_integers_changes_nothing() -> None:
    assert exact("clip", np.array([5]), 2.0**-10, max=1e30).data.tolist() == [5]


@pytest.mark.parametrize("accumulator", [-5000, 5000, -1, 0, -640, 123456, -123457])
def test_leaky_relu_is_26_over_256_before_the_final_rounding(accumulator: int) -> None:
    """v < 0: (acc * 26 + 2**(s + 7)) >> (s + 8) (runtime fact sheet, 2.5)."""
    s = 8
    leaky = exact("leaky-relu", np.array([accumulator]), 2.0**-s, alpha=26 / 256)
    expected = (accumulator * 26 + (1 << (s + 7))) >> (s + 8) if accumulator < 0 else (accumulator + 128) >> 8
    found = requantize(leaky, QuantSpec.power_of_two(INT8, 0, Rounding.HALF_UP)).data.item()
    assert found == max(-128, min(127, expected))
    if accumulator == -5000:
        assert found == -2


def test_other_slopes_have_no_exact_form() -> None:
    assert spec("leaky-relu").integer(make_op("leaky-relu", alpha=0.1), [IntTensor.of([1], 0.5)]) is None
    assert exact("leaky-relu", np.array([-4, 4]), 0.3, alpha=0.25).data.tolist() == [-4, 16]


def test_integer_prelu() -> None:
    x, slope = IntTensor.of([[-4, 4], [-6, 6]], 0.5), IntTensor.of([3, -1], 2.0**-2)
    result = spec("prelu").integer(make_op("prelu", 2), [x, slope])
    assert (
        result is not None and result[0].data.tolist() == [[-12, 16], [-18, 24]] and result[0].scale == 0.125
    )
    assert spec("prelu").integer(make_op("prelu", 2), [x, IntTensor.of([3], 0.3)]) is None
    assert spec("prelu").integer(make_op("prelu", 2), [x, np.ones(1, np.float32)]) is None


def test_the_published_hard_sigmoid() -> None:
    """fi = 4, fo = 7, alpha 2731 / 16384 (2.11)."""
    attrs = {"alpha": 2731 / 16384, "beta": 3 * 2731 / 16384}
    result = exact("hard-sigmoid", np.array([-48, -1, 0, 16, 47, 48]), 2.0**-4, **attrs)
    rounded = requantize(result, QuantSpec.power_of_two(INT8, 7, Rounding.HALF_UP))
    assert rounded.data.tolist() == [0, 63, 64, 85, 127, 127]


@pytest.mark.parametrize("fi", [0, 5, 15])
@pytest.mark.parametrize("fo", [7, 10])
def test_hard_sigmoid_equals_the_hardware_formula(fi: int, fo: int) -> None:
    attrs = {"alpha": 2731 / 16384, "beta": 3 * 2731 / 16384}
    x, shift = np.arange(-128, 128), 14 + fi - fo
    wanted = [max(0, 2731 * int(v) + 3 * 2731 * 2**fi) for v in x]
    expected = [min(127, (v + (1 << shift >> 1)) >> shift) for v in wanted]
    rounded = requantize(
        exact("hard-sigmoid", x, 2.0**-fi, **attrs), QuantSpec.power_of_two(INT8, fo, Rounding.HALF_UP)
    )
    assert rounded.data.tolist() == expected


def test_hard_sigmoid_needs_a_dyadic_slope() -> None:
    assert spec("hard-sigmoid").integer(make_op("hard-sigmoid", alpha=0.2), [IntTensor.of([1], 0.5)]) is None
    assert spec("hard-sigmoid").integer(make_op("hard-sigmoid", alpha=0.25), [IntTensor.of([1], 0.3)]) is None


def test_a_limit_beyond_the_integers_in_one_channel_leaves_the_others() -> None:
    per_channel = IntTensor.of([[9, 9]], [2.0, 2.0**-40], axis=1)
    result = spec("clip").integer(make_op("clip", max=4.0), [per_channel])
    assert result is not None and result[0].to_float().tolist() == [[4.0, 9 * 2.0**-40]]

"""Specs of constants against their definition in fractions and in NumPy."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.calibration.methods import RangeMethod, ScaleKind
from quantforge.graph import QuantSpec
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import BFLOAT16, INT8, UINT8, IntFormat
from quantforge.numerics.positions import non_overflow_position
from quantforge.quantization.recipe import TensorRule
from quantforge.quantization.weights import (
    CLIP_FACTORS,
    POSITION_WINDOW,
    constant_spec,
    position_by_error,
    squared_errors,
    squared_errors_reference,
)

POWER_OF_TWO = TensorRule(INT8, ScaleKind.POWER_OF_TWO, method=RangeMethod.MSE)
FLOAT = TensorRule(INT8, ScaleKind.FLOAT, method=RangeMethod.MIN_MAX)


def normal(*shape: int, seed: int = 0, spread: float = 1.0) -> np.ndarray:
    return (spread * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 1000, 4099])
@pytest.mark.parametrize(("qmin", "qmax"), [(-128, 127), (-8, 7), (0, 255), (-32768, 32767)])
def test_the_kernel_computes_its_definition(size: int, qmin: int, qmax: int) -> None:
    x = normal(size, seed=size, spread=3.0)
    scales = np.array([2.0**-p for p in range(-2, 12)] + [0.013, 0.1, 1e-6])
    found = squared_errors(x, scales, qmin, qmax)
    # terms are equal to the bit, only their sum is taken in another order
    np.testing.assert_allclose(found, squared_errors_reference(x, scales, qmin, qmax), rtol=1e-12, atol=0)


def test_the_kernel_reads_what_must_not_be_written() -> None:
    x = normal(16)
    x.flags.writeable = False
    assert squared_errors(x, np.array([0.5]), -128, 127)[0] > 0.0


def exact_error(values: list[Fraction], position: int, format: IntFormat) -> Fraction:
    scale = Fraction(2) ** -position
    stored = (min(max(round(x / scale), format.qmin), format.qmax) for x in values)  # ties to even
    return sum(((q * scale - x) ** 2 for q, x in zip(stored, values, strict=True)), Fraction(0))


@given(
    st.lists(st.integers(-2048, 2047), min_size=1, max_size=12),
    st.integers(-4, 12),
    st.sampled_from([INT8, IntFormat(4), IntFormat(8, narrow=True)]),
)
def test_the_position_has_the_least_error_of_its_window(
    numerators: list[int], shift: int, format: IntFormat
) -> None:
    values = [Fraction(n) / Fraction(2) ** shift for n in numerators]
    data = np.array([float(v) for v in values], np.float32)
    start = non_overflow_position(min(0.0, float(data.min())), max(0.0, float(data.max())), format)
    candidates = [start + step for step in POSITION_WINDOW]
    best = min(candidates, key=lambda position: (exact_error(values, position, format), position))
    assert position_by_error(data, format) == best


@pytest.mark.parametrize("rule", [POWER_OF_TWO, FLOAT], ids=["power of two", "float"])
def test_zeros_get_scale_one(rule: TensorRule) -> None:
    assert constant_spec(np.zeros((2, 3), np.float32), rule, None).scale == (1.0,)
    assert position_by_error(np.zeros(0, np.float32), INT8) == 0


@pytest.mark.parametrize("method", [RangeMethod.MSE, RangeMethod.MIN_MAX, RangeMethod.PERCENTILE])
@pytest.mark.parametrize("scales", ScaleKind)
@pytest.mark.parametrize("axis", [0, 1])
def test_a_spec_per_axis_is_that_of_each_slice(method: RangeMethod, scales: ScaleKind, axis: int) -> None:
    rule = TensorRule(INT8, scales, per_channel=True, method=method, percentile=99.0)
    data = normal(4, 5, 3) * np.geomspace(0.01, 10.0, 20, dtype=np.float32).reshape(4, 5, 1)
    spec = constant_spec(data, rule, axis)
    slices = [constant_spec(data.take(i, axis), rule, None) for i in range(data.shape[axis])]
    assert spec.axis == axis and spec.zero_point == (0,) * data.shape[axis]
    assert spec.scale == tuple(one.scale[0] for one in slices)


def test_min_max_reaches_the_largest_weight() -> None:
    data = normal(100)
    spec = constant_spec(data, FLOAT, None)
    top = float(np.abs(data).max())
    assert math.isclose(spec.scale[0] * 127.0, top, rel_tol=1e-2)
    assert np.abs(fake_quantize_value(data, spec) - data).max() <= spec.scale[0] * 0.5 * (1 + 1e-6)


def test_mean_square_error_clips_a_lone_outlier() -> None:
    data = np.append(normal(20_000, spread=0.1), np.float32(1.0))
    rule = TensorRule(IntFormat(4), method=RangeMethod.MSE)
    clipped, whole = (
        constant_spec(data, rule, None),
        constant_spec(data, replace(FLOAT, format=IntFormat(4)), None),
    )
    assert math.isclose(clipped.scale[0], CLIP_FACTORS[0] * whole.scale[0], rel_tol=0.1)
    errors = [float(np.square(fake_quantize_value(data, spec) - data).sum()) for spec in (clipped, whole)]
    assert errors[0] < errors[1]


def test_an_asymmetric_rule_moves_the_zero_point() -> None:
    rule = TensorRule(UINT8, symmetric=False)
    spec = constant_spec(np.array([0.0, 0.5, 2.55], np.float32), rule, None)
    assert spec.zero_point == (0,) and math.isclose(spec.scale[0], 0.01, rel_tol=1e-6)


def test_an_unsigned_format_has_its_zero_in_the_middle_and_the_step_of_the_signed_one() -> None:
    data = normal(50)
    unsigned = constant_spec(data, replace(POWER_OF_TWO, format=UINT8), None)
    assert unsigned.zero_point == (128,)
    assert unsigned.scale == constant_spec(data, POWER_OF_TWO, None).scale


def test_a_float_format_has_no_scale() -> None:
    assert constant_spec(normal(9), TensorRule(BFLOAT16), None) == QuantSpec(BFLOAT16)


def test_an_asymmetric_rule_moves_the_zero_point_of_every_slice() -> None:
    data = np.array([[0.0, 2.55], [-2.55, 0.0], [-1.0, 1.55]], np.float32)
    spec = constant_spec(data, TensorRule(UINT8, symmetric=False), 0)
    assert spec.zero_point == (0, 255, 100) and spec.axis == 0
    np.testing.assert_allclose(spec.scale, 0.01, rtol=1e-6)


@pytest.mark.parametrize("method", [RangeMethod.MSE, RangeMethod.PERCENTILE])
def test_an_asymmetric_rule_moves_the_zero_point_by_every_method(method: RangeMethod) -> None:
    data = np.linspace(0.0, 2.55, 500, dtype=np.float32)
    spec = constant_spec(data, TensorRule(UINT8, symmetric=False, method=method), None)
    assert spec.zero_point == (0,) and math.isclose(spec.scale[0], 0.01, rel_tol=1e-2)


def test_slack_is_for_values_to_come_and_a_constant_has_none() -> None:
    data = np.append(normal(5000), np.float32(8.0))
    rule = TensorRule(UINT8, symmetric=False, method=RangeMethod.MSE)
    assert constant_spec(data, replace(rule, slack=5.0), None) == constant_spec(data, rule, None)


@pytest.mark.parametrize("scales", ScaleKind)
def test_entropy_and_percentile_clip_a_lone_outlier(scales: ScaleKind) -> None:
    data = np.append(normal(20_000, spread=0.05), np.float32(8.0))
    full = constant_spec(data, TensorRule(INT8, scales, method=RangeMethod.NON_OVERFLOW), None)
    for method in (RangeMethod.ENTROPY, RangeMethod.PERCENTILE):
        found = constant_spec(data, TensorRule(INT8, scales, method=method, percentile=99.9), None)
        assert found.scale[0] <= full.scale[0] / 2

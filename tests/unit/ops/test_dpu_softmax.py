from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quantforge.graph import Op
from quantforge.ops.dpu_softmax import KIND, compute, dpu_exp
from quantforge.ops.registry import spec
from tests.unit.frontends.onnx.text_models import random


def bfloat16(x: Fraction | float) -> float:
    """Nearest with 8 significant bits, ties to even, in Python's own numbers."""
    if not x:
        return 0.0
    exponent = math.frexp(float(x))[1] - 8
    return math.ldexp(round(Fraction(x) / Fraction(2) ** exponent), exponent)


def exp_by_hand(x: float) -> float:
    held = bfloat16(max(-80.0, min(80.0, x)))
    whole = math.floor(float(np.float32(held) * np.float32(1.4426950408889634)))
    rest = float(np.float32(held) - np.float32(whole) * np.float32(0.6931471805599453))
    power = 0.21875
    for term in (0.486328125, 1.0, 1.0):
        power = bfloat16(float(np.float32(np.float32(power) * np.float32(rest)) + np.float32(term)))
    return math.ldexp(power, whole)


@given(st.floats(-100, 100, width=32))
def test_the_exponential_step_by_step(x: float) -> None:
    assert float(dpu_exp(np.array([x], np.float32))[0]) == exp_by_hand(x)
    if abs(x) < 1:
        assert abs(exp_by_hand(x) / math.exp(x) - 1) < 0.02


def test_shares_are_near_the_exact_ones_and_finite() -> None:
    x = 3 * random(50, 20)
    (y,) = compute(Op(KIND, "s", ("x",), ("y",), {"axis": 1}), [x])
    exact = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    assert np.abs(y - exact).max() < 0.03 and y.dtype == np.float32
    assert not np.array_equal(y, exact)
    (far,) = compute(Op(KIND, "s", ("x",), ("y",), {"axis": 1}), [x * 1000])
    assert np.isfinite(far).all()
    assert spec(KIND).traits.role == "nonlinear"

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.diagnostics import InputError, UnsupportedError
from quantforge.runtime.fixed import Fixed
from quantforge.runtime.kernels.finish import finish, hard_sigmoid, hard_swish, nonlinear_of, scale_up
from quantforge.xmodel.model import Tensor, XOp
from tests.compiled_xmodels import XINT8, attr


def op_with(position: int = 0, **attrs: Any) -> XOp:
    meaning = {"fix_point": position, "bit_width": 8, "if_signed": True, "round_mode": "DPU_ROUND"}
    tensor = Tensor("t", (1,), XINT8, {key: attr(value) for key, value in meaning.items()})
    return XOp("op", "conv2d-fix", tensor, {}, {key: attr(value) for key, value in attrs.items()})


def finished(acc: int, position: int, out: int, nonlinear: str, **attrs: Any) -> int:
    return int(finish(op_with(out, nonlinear=nonlinear, **attrs), np.array([acc]), position)[0])


def test_worked_examples() -> None:
    assert finished(642, 12, 4, "NONE") == 3
    assert finished(-5000, 12, 4, "LEAKYRELU") == -2
    assert finished(-384, 8, 0, "NONE") == -1


@given(
    st.integers(-(2**20), 2**20),
    st.integers(-4, 12),
    st.integers(-4, 10),
    st.sampled_from(["NONE", "RELU", "RELU6", "LEAKYRELU"]),
)
def test_against_fractions(acc: int, position: int, out: int, nonlinear: str) -> None:
    real = Fraction(acc) / Fraction(2) ** position
    if nonlinear in ("RELU", "RELU6"):
        real = max(real, Fraction(0))
    if nonlinear == "RELU6":
        real = min(real, Fraction(6))
    if nonlinear == "LEAKYRELU" and real < 0:
        real *= Fraction(26, 256)
    expected = max(-128, min(127, floor(real * Fraction(2) ** out + Fraction(1, 2))))
    assert finished(acc, position, out, nonlinear) == expected


def test_hard_sigmoid_and_swish_examples() -> None:
    x = np.array([-48, -1, 0, 16, 47, 48])
    assert hard_sigmoid(x, 4, Fixed(7)).tolist() == [0, 63, 64, 85, 127, 127]
    assert hard_swish(np.array([16, -16, 48, -40]), 4, Fixed(4)).tolist() == [11, -5, 48, -3]


@given(st.integers(-128, 127), st.integers(-3, 15), st.integers(-2, 9))
def test_hard_sigmoid_against_fractions(x: int, position: int, out: int) -> None:
    real = min(max(Fraction(x) / Fraction(2) ** position + 3, Fraction(0)), Fraction(6)) * Fraction(
        2731, 16384
    )
    expected = max(-128, min(127, floor(real * Fraction(2) ** out + Fraction(1, 2))))
    assert hard_sigmoid(np.array([x]), position, Fixed(out)).tolist() == [expected]


def test_fused_hard_swish_rounds_in_the_middle() -> None:
    assert finished(16 << 8, 12, 4, "HSWISH", hsigmoid_in=4, shift_hsigmoid=11, shift_hswish=7) == 11
    assert finished(16 << 8, 12, 7, "HSIGMOID", hsigmoid_in=4, shift_hsigmoid=11) == 85


def test_refusals() -> None:
    with pytest.raises(UnsupportedError, match=r"Q1202 op: found nonlinear 'PRELU'"):
        nonlinear_of(op_with(nonlinear="PRELU"))
    with pytest.raises(InputError, match=r"Q1203 op: found nonlinear HSIGMOID without hsigmoid_in"):
        finished(1, 1, 1, "HSIGMOID")
    with pytest.raises(InputError, match=r"Q1204 op: .*70 bits"):
        scale_up(op_with(), np.array([3]), 70)
    assert nonlinear_of(op_with(nonlinear="")) == "NONE"

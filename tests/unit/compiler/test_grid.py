from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.compiler.grid import ROUNDINGS, Grid
from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Attr, Tensor, XOp


def rounded(value: Fraction, mode: str) -> int:
    if mode == "DPU_ROUND":
        return math.floor(value + Fraction(1, 2))
    if mode == "STD_ROUND":
        return int(math.copysign(math.floor(abs(value) + Fraction(1, 2)), value))
    return round(value)


@given(
    data=st.lists(st.floats(-1000, 1000, width=32), min_size=1), position=st.integers(-4, 12),
    bits=st.sampled_from([4, 8, 16]), signed=st.booleans(), mode=st.sampled_from(list(ROUNDINGS)),
)  # fmt: skip
def test_integers(data: list[float], position: int, bits: int, signed: bool, mode: str) -> None:
    grid = Grid(position, bits, signed, mode)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    expected = [min(max(rounded(Fraction(x) * Fraction(2) ** position, mode), low), high) for x in data]
    assert grid.integers(np.asarray(data)).tolist() == expected


def fix(**attrs: Attr) -> XOp:
    full = Grid(3).attrs() | attrs
    return XOp("f", "fix", Tensor("f", (1,)), {}, {k: v for k, v in full.items() if v.kind != "none"})


def test_attributes_round_trip() -> None:
    grid = Grid(-2, 8, True, "PY3_ROUND")
    assert Grid.of(fix(**grid.attrs())) == grid
    assert (str(grid.dtype), str(Grid(0, 16, False).dtype)) == ("XINT8", "XUINT16")
    assert grid.on_dpu and not Grid(0, 16).on_dpu and not Grid(0, signed=False).on_dpu
    assert grid.numbers == Grid(-2).numbers


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"fix_point": Attr("none", None)}, "no fix_point"),
        ({"round_mode": Attr("string", "UP")}, "'UP'"),
        ({"bit_width": Attr("int32", 64)}, "bit_width 64"),
    ],
)
def test_missing_numbers(change: dict[str, Attr], found: str) -> None:
    with pytest.raises(InputError, match="Q1100") as error:
        Grid.of(fix(**change))
    assert found in error.value.diagnostic.found

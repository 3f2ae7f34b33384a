from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import DataType
from tests.compiled_xmodels import XINT8
from tests.unit.runtime.cpu.evaluation import evaluated

MEANING = {"fix_point": 1, "bit_width": 8, "if_signed": True}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("DPU_ROUND", [-1, 0.0, 0.5, 1.5]),
        ("PY3_ROUND", [-1, 0.0, 0.0, 1.0]),
        ("STD_ROUND", [-1.5, -0.5, 0.5, 1.5]),
    ],
)
def test_fix_rounds_by_its_mode(mode: str, expected: list[float]) -> None:
    found = evaluated("fix", [[-1.25, -0.25, 0.25, 1.25]], round_mode=mode, **MEANING)
    assert found.dtype == np.float32
    assert found.tolist() == expected


def test_fix_saturates() -> None:
    assert evaluated("fix", [[1000, -1000]], round_mode="DPU_ROUND", **MEANING).tolist() == [63.5, -64]
    unsigned = MEANING | {"if_signed": False, "bit_width": 4}
    assert evaluated("fix", [[1000, -1000]], round_mode="DPU_ROUND", **unsigned).tolist() == [7.5, 0]


def test_there_and_back() -> None:
    integers = evaluated("float2fix", [[0.75, 100]], (2,), XINT8, round_mode="DPU_ROUND", **MEANING)
    assert integers.dtype == np.int8
    assert integers.tolist() == [2, 127]
    reals = evaluated("fix2float", [integers], round_mode="DPU_ROUND", **MEANING)
    assert reals.dtype == np.float32
    assert reals.tolist() == [1.0, 63.5]


def test_wide_integers_are_exact() -> None:
    wide: dict[str, Any] = {"fix_point": 0, "bit_width": 32, "if_signed": True, "round_mode": "DPU_ROUND"}
    x = np.array([16777217.0], np.float64)
    assert evaluated("float2fix", [x], (1,), DataType("XINT", 32), **wide).tolist() == [16777217]


def test_cast() -> None:
    assert evaluated("cast", [[1.7, -1.7]], data_type="INT32").tolist() == [1, -1]
    with pytest.raises(InputError, match=r"Q1203 op: found cast to 'Int'"):
        evaluated("cast", [[1.0]], data_type="Int")


def test_a_missing_fix_point_is_named() -> None:
    with pytest.raises(InputError, match=r"Q1201 op: found fix with fix_point None"):
        evaluated("fix", [[1.0]], round_mode="DPU_ROUND")

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime.program import program_of
from quantforge.runtime.reference import ReferenceEngine
from tests.compiled_xmodels import dpu_part, single


def combined(kind: str, operands: list[tuple[int, int]], out: int, **attrs: Any) -> int:
    arrays = [np.array([[value]], np.int8) for value, _ in operands]
    model = single(kind, arrays, [position for _, position in operands], (1, 1), out, **attrs)
    engine = ReferenceEngine(program_of(model, dpu_part(model)))
    return int(engine.run({f"data{i}": array for i, array in enumerate(arrays)})["out"][0, 0])


def test_worked_examples() -> None:
    assert combined("eltwise-fix", [(100, 6), (-50, 4)], 5, type="ADD") == -50
    assert combined("eltwise-fix", [(20, 6), (-10, 4)], 5, type="MUL") == -6
    assert combined("depthwise-fix", [(20, 6), (-10, 4)], 5) == -6


def test_three_operands_and_an_activation() -> None:
    assert combined("eltwise-fix", [(100, 4), (100, 4), (-100, 4)], 4, type="ADD") == 100
    assert combined("eltwise-fix", [(-100, 4), (20, 4)], 4, type="ADD", nonlinear="RELU") == 0
    assert combined("eltwise-fix", [(100, 4), (20, 4)], 4, type="ADD", nonlinear="RELU6") == 96


def test_all_fix_points_below_zero() -> None:
    assert combined("eltwise-fix", [(3, -2), (1, -3)], -3, type="ADD") == 3  # (12 + 8) / 8 = 2.5


def test_hard_sigmoid() -> None:
    assert combined("hard-sigmoid-fix", [(16, 4)], 7, hsigmoid_in=4, shift_hsigmoid=11) == 85


def test_other_arithmetic_is_refused() -> None:
    with pytest.raises(InputError, match=r"Q1203 result: .*'SUB'"):
        combined("eltwise-fix", [(1, 0), (1, 0)], 0, type="SUB")

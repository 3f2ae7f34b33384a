from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.numerics.rounding import Rounding
from quantforge.runtime.fixed import Fixed, fixed_of, same_position
from quantforge.xmodel.model import Attr
from tests.compiled_xmodels import dpu_part, single


def test_limits_follow_width_and_sign() -> None:
    assert (Fixed(0, 4).low, Fixed(0, 4).high) == (-8, 7)
    assert (Fixed(0, 8, signed=False).low, Fixed(0, 8, signed=False).high) == (0, 255)


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        (Rounding.HALF_UP, [-1, 0, 1, 2]),
        (Rounding.HALF_EVEN, [-2, 0, 0, 2]),
        (Rounding.HALF_AWAY, [-2, -1, 1, 2]),
    ],
)
def test_requantize_rounds_ties_by_mode_then_saturates(rounding: Rounding, expected: list[int]) -> None:
    fixed = Fixed(2, rounding=rounding)
    assert fixed.requantize(np.array([-384, -128, 128, 384]), 10).tolist() == expected
    assert fixed.requantize(np.array([10**6, -(10**6)]), 10).tolist() == [127, -128]


def test_fixed_of_reads_the_tensor() -> None:
    op = single("reshape-fix", [np.zeros((1, 4), np.int8)], [3], (1, 2, 2), 3, round_mode="PY3_ROUND").ops[
        "result"
    ]
    assert fixed_of(op) == Fixed(3, 8, True, Rounding.HALF_EVEN)


@pytest.mark.parametrize("attribute", ["fix_point", "round_mode", "bit_width"])
def test_a_tensor_without_usable_meaning_is_named(attribute: str) -> None:
    op = single("reshape-fix", [np.zeros((1, 4), np.int8)], [3], (1, 2, 2), 3).ops["result"]
    op.tensor.attrs.pop(attribute)
    if attribute != "fix_point":
        op.tensor.attrs[attribute] = Attr("string", "odd") if attribute == "round_mode" else Attr("int32", 64)
    with pytest.raises(InputError, match=r"Q1201 result.*result_t"):
        fixed_of(op)


def test_copying_between_fix_points_is_refused() -> None:
    model = single("concat-fix", [np.zeros((1, 4), np.int8)], [3], (1, 4), 4, axis=1)
    with pytest.raises(InputError, match=r"Q1203 result.*3 at .* and 4 at the output"):
        same_position(model.ops["result"], model.ops.__getitem__)
    assert dpu_part(model).get("device") == "DPU"

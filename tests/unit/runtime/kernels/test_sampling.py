from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime.kernels.sampling import linear, nearest
from quantforge.runtime.program import program_of
from quantforge.runtime.reference import ReferenceEngine
from tests.compiled_xmodels import dpu_part, single


def resampled(kind: str, row: list[int], out: int, position: int = 0, **attrs: Any) -> list[int]:
    x = np.array(row, np.int8).reshape(1, 1, -1, 1)
    model = single(kind, [x], [0], (1, 1, out, 1), position, scale=(out / len(row), 1.0), **attrs)
    found: list[int] = (
        ReferenceEngine(program_of(model, dpu_part(model))).run({"data0": x})["out"].reshape(-1).tolist()
    )
    return found


def test_bilinear_example() -> None:
    assert resampled("upsample-fix", [0, 100], 4, mode="BILINEAR", half_pixel_centers=True) == [
        0,
        25,
        75,
        100,
    ]


def test_align_corners_and_rounding() -> None:
    assert resampled("upsample-fix", [0, 3], 4, mode="BILINEAR", align_corners=True) == [0, 1, 2, 3]
    assert resampled("upsample-fix", [0, 1], 3, mode="BILINEAR", align_corners=True) == [
        0,
        1,
        1,
    ]  # a tie goes up
    assert resampled("upsample-fix", [0, 1], 3, 1, mode="BILINEAR", align_corners=True) == [0, 1, 2]


def test_nearest_up_and_down() -> None:
    assert resampled("upsample-fix", [1, 2], 4, mode="NEAREST") == [1, 1, 2, 2]
    assert resampled("downsample-fix", [1, 2, 3, 4], 2) == [1, 3]
    assert resampled("upsample-fix", [1, 2, 3], 5, mode="NEAREST", align_corners=True) == [1, 2, 2, 3, 3]


def test_taps() -> None:
    assert nearest([Fraction(-1, 4), Fraction(5, 2)], 2, False).low == (0, 1)
    taps = linear([Fraction(1, 3)], 2)
    assert (taps.weight_low, taps.weight_high, taps.divisor) == ((8,), (4,), 12)


def test_other_modes_are_refused() -> None:
    with pytest.raises(InputError, match=r"Q1203 result: .*'CUBIC'"):
        resampled("upsample-fix", [1, 2], 4, mode="CUBIC")

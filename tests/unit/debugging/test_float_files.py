"""Two files of float numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantforge.debugging.float_files import compare_float_files
from quantforge.diagnostics import InputError


def files(folder: Path, golden: list[float], dump: list[float]) -> tuple[Path, Path]:
    paths = folder / "golden.bin", folder / "dump.bin"
    for path, numbers in zip(paths, (golden, dump), strict=True):
        np.array(numbers, "<f4").tofile(path)
    return paths


def test_the_limit_is_relative_and_in_percent(tmp_path: Path) -> None:
    pair = files(tmp_path, [100.0, -100.0, 1.0], [100.5, -100.5, 1.1])
    assert [row.index for row in compare_float_files(*pair, 0.6).differences] == [2]
    assert [row.index for row in compare_float_files(*pair, 0.4).differences] == [0, 1, 2]
    assert compare_float_files(*pair, 0.4).differences[0].percent == pytest.approx(0.5)
    assert compare_float_files(*pair, 11).same


def test_a_golden_zero_must_be_met(tmp_path: Path) -> None:
    (row,) = compare_float_files(*files(tmp_path, [0.0, 0.0], [-0.0, 1e-30]), 100).differences
    assert row.index == 1 and row.percent == float("inf")


def test_numbers_that_are_none(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    found = compare_float_files(*files(tmp_path, [nan, inf, nan, 1.0, inf], [nan, inf, 1.0, nan, 3.0]))
    assert [row.index for row in found.differences] == [2, 3, 4]


def test_files_that_cannot_be_compared(tmp_path: Path) -> None:
    golden, dump = files(tmp_path, [1.0, 2.0], [1.0])
    with pytest.raises(InputError, match=r"Q1304 .*1 numbers; expected 2"):
        compare_float_files(golden, dump)
    dump.write_bytes(b"123")
    with pytest.raises(InputError, match=r"Q1304 .*3 bytes"):
        compare_float_files(golden, dump)
    with pytest.raises(InputError, match="Q1304"):
        compare_float_files(golden, tmp_path / "missing")

"""Two files of float32 numbers compared: a golden one and a dump."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quantforge.diagnostics import InputError

FloatArray = NDArray[np.float32]
PERCENT = 0.01


@dataclass(frozen=True)
class FloatDifference:
    """One number that differs: its place in the file, both values, the difference in percent of the golden one."""

    index: int
    golden: float
    dump: float
    percent: float


@dataclass(frozen=True)
class FloatComparison:
    """How many numbers there are, and which differ by more than `limit` percent."""

    count: int
    limit: float
    differences: tuple[FloatDifference, ...]

    @property
    def same(self) -> bool:
        """Whether no number differs."""
        return not self.differences


def compare_float_files(golden: str | Path, dump: str | Path, percent: float = PERCENT) -> FloatComparison:
    """Compare number by number: relative to the golden number, in percent.

    A golden zero beside anything else is a difference, and so is NaN or infinity on one side only.

    Raises:
        InputError: Q1304 for files that cannot be read, are no multiple of 4 bytes, or differ in length.
    """
    first, second = _read(Path(golden)), _read(Path(dump))
    if first.size != second.size:
        expected = f"{first.size} numbers, as in {golden}"
        raise InputError("Q1304", str(dump), f"{second.size} numbers", expected, "dump the same tensor again")
    return FloatComparison(first.size, percent, tuple(_differences(first, second, percent)))


def _differences(golden: FloatArray, dump: FloatArray, limit: float) -> Iterator[FloatDifference]:
    wide, other = golden.astype(np.float64), dump.astype(np.float64)
    equal = (golden == dump) | (np.isnan(golden) & np.isnan(dump))
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = np.abs(other - wide) / np.abs(wide) * 100
    percent = np.where(equal, 0.0, np.where(np.isnan(percent), np.inf, percent))
    for index in np.flatnonzero(percent > limit):
        yield FloatDifference(int(index), float(golden[index]), float(dump[index]), float(percent[index]))


def _read(path: Path) -> FloatArray:
    try:
        data = path.read_bytes()
    except OSError as error:
        found = error.strerror or str(error)
        raise InputError("Q1304", str(path), found, "a file of float32 numbers", "check the path") from error
    if len(data) % 4:
        expected = "a multiple of 4: float32 numbers"
        raise InputError("Q1304", str(path), f"{len(data)} bytes", expected, "compare integers with cmp")
    return np.frombuffer(data, "<f4")

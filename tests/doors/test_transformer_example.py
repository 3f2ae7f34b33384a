"""The example of a transformer block runs as it is printed, and every step helps."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "transformer" / "quantize.py"


def test_units_and_smoothing_on_a_block_with_outlier_channels(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    rows = [line.split()[-4:] for line in printed.splitlines() if line.endswith(" dB")]
    pairs, decibels = [int(row[0]) for row in rows], [float(row[2]) for row in rows]
    assert pairs[0] > pairs[1] > pairs[2] == pairs[3]
    assert decibels[1] > decibels[0] + 1.0 and decibels[3] > decibels[2] + 10.0 and decibels[3] > 30.0
    for words in ("7 operators are one layernorm", "3 operators are one softmax", "5 operators are one gelu"):
        assert words in printed

"""The ladder is part of the report, and of its JSON."""

from __future__ import annotations

from dataclasses import replace

from quantforge.quantization.goal import Figures
from quantforge.quantization.ladder_report import LadderReport, RungReport
from quantforge.reporting import from_json, to_json, to_text
from tests.unit.reporting.samples import small_report

RUNGS = (
    RungReport("base", Figures(64, 20.5, 0.95), 1.5, kept=True),
    RungReport("equalize", Figures(64, 19.0, 0.95), 1.5),
    RungReport("round", remark="torch is not installed"),
    RungReport(
        "16-bit 1", Figures(64, 31.0, 1.0, 0.9, 0.89), 2.0, met=True, kept=True, remark="conv1", resumed=True
    ),
)
LADDER = LadderReport("SQNR of at least 30 dB", True, "16-bit 1", "64 samples", RUNGS)


def test_json_gives_the_same_ladder() -> None:
    report = replace(small_report(), ladder=LADDER)
    assert from_json(to_json(report)) == report


def test_the_text_shows_it() -> None:
    text = to_text(replace(small_report(), ladder=LADDER))
    assert "goal met by 16-bit 1" in text and "torch is not installed" in text

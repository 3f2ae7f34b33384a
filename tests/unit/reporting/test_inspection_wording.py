"""Lines that the reports of an inspection share."""

from __future__ import annotations

from dataclasses import replace

from quantforge.reporting.inspection_wording import counts, drawn, headline, share
from tests.unit.reporting.inspected import clean, small


def test_headlines() -> None:
    assert headline(small()) == "3 of 5 operators on the CPU"
    assert headline(clean()) == "all 1 operator on the DPU"


def test_counts_and_share() -> None:
    assert counts(small()) == "1 USER, 1 DPU, 2 CPU"
    total = 32 * 32 * 16 * 8 * 9 + 32 * 32 * 16 * 16 * 17 * 3
    part = 100 * 32 * 32 * 16 * 8 * 9 / total
    assert share(small()) == f"{part:.2f} % of 14.5 M multiply-accumulates"
    assert share(replace(small(), verdicts=())) == "no multiplications"


def test_constants_and_roundings_are_not_drawn() -> None:
    assert {verdict.name: read for verdict, read in drawn(small())} == {
        "x": (), "conv": ("x",), "relu": ("conv",), "s1": ("relu",), "s2": ("relu",), "wide": ("s2",),
    }  # fmt: skip

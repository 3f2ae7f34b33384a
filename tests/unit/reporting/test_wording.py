"""How numbers read at the edges; the ordinary cases are in the docstrings."""

from __future__ import annotations

import math

from quantforge.graph import QuantSpec
from quantforge.numerics.formats import INT8, UINT8
from quantforge.quantization.report import Cause
from quantforge.reporting import wording


def test_numbers_that_are_not_there_are_dashes():
    assert wording.decibels(math.nan) == wording.percent(None) == wording.percent(math.nan) == wording.NOTHING
    assert wording.decibels(-math.inf) == "no signal"


def test_sizes_change_units():
    assert [wording.size(n) for n in (0, 1023, 1024, 2**40)] == ["0 B", "1023 B", "1 KiB", "1 TiB"]
    assert wording.operations(3_858_000_000) == "3.86 G"


def test_shares_keep_their_meaning():
    assert [wording.percent(x) for x in (1.0, 0.99994, 0.5, 0.0001)] == ["100 %", "99.99 %", "50 %", "0.01 %"]


def test_scales_and_zero_points():
    per_axis = QuantSpec(UINT8, (0.5, 0.5), (3, 9), 0)
    assert (wording.scale(per_axis), wording.zero_point(per_axis)) == ("0.5 .. 0.5 by axis 0", "3 .. 9")
    assert wording.scale(QuantSpec.power_of_two(INT8, -2)) == "2²"
    assert wording.zero_point(QuantSpec(UINT8, (0.5,), (7,))) == "7"


def test_every_cause_has_words():
    assert set(wording.CAUSES) == set(Cause)


def test_unknown_precisions_count_as_wide():
    assert wording.family("mystery") == "int16"

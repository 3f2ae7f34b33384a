"""The long tables: a row each, and keys that sort as numbers."""

from __future__ import annotations

import re
from dataclasses import replace

from quantforge.reporting import listings
from tests.unit.reporting.samples import large_report, small_report


def keys(text: str, column: int) -> list[float]:
    rows = re.findall(r"<tr><td.*?</tr>", text)
    cells = [re.findall(r"<td[^>]*>", row)[column] for row in rows]
    return [float(re.search(r'data-sort="([^"]+)"', cell)[1]) for cell in cells]  # type: ignore[index]


def test_every_layer_and_tensor_has_a_row():
    report = large_report(3)
    assert listings.layers(report).count("<tr>") == 1 + len(report.layers)
    assert listings.tensors(report).count("<tr>") == 1 + len(report.tensors)


def test_unknown_and_endless_numbers_sort_to_the_ends():
    assert keys(listings.layers(small_report()), 6) == [30.5, -1e300, -1e300]
    assert keys(listings.layers(small_report()), 7) == [30.5, 1e300, 28.75]
    assert keys(listings.tensors(small_report()), 9) == [48.0, 31.25, 1e300, -1e300]


def test_only_tensors_with_a_drawing_offer_it():
    shown = re.findall(r'data-chart="([^"]+)"', listings.tensors(small_report()))
    assert shown == ["chart-0", "chart-1"]


def test_shared_scales_are_remarked():
    assert "seen in 3 batches; shares its scale with pool" in listings.tensors(small_report())


def test_notes_and_notices():
    text = listings.notes(small_report())
    assert text.count("<tr>") == 4
    assert "<b>refused</b>" in text
    assert listings.notes(replace(small_report(), notes=(), notices=())) == ""


def test_the_recipe_can_be_copied():
    assert "base = &quot;dpu-cnn&quot;" in listings.recipe(small_report())
    assert listings.recipe(replace(small_report(), recipe_text="")) == ""

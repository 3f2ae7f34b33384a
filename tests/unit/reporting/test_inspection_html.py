"""The section of an HTML page."""

from __future__ import annotations

import html
import re

from quantforge.reporting.html import to_html
from quantforge.reporting.inspection_html import inspection_section
from tests.unit.reporting.inspected import clean, hostile, small
from tests.unit.reporting.samples import HOSTILE, small_report


def test_the_table_of_the_cpu_and_the_graph() -> None:
    text = inspection_section(small())
    rows = re.findall(r"<tr>(.*?)</tr>", text)[1:]
    assert len(rows) == 3
    wide = [
        html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<td[^>]*>(.*?)</td>", rows[2])
    ]
    assert wide == [
        "wide", "conv2d", "13.4 M", "kernel width 17; supported: 1-16",
        "kernel width 16 or several convolutions one after the other", "kernel_range",
    ]  # fmt: skip
    assert text.count("<rect") == 6
    assert "3 of 5 operators on the CPU" in text


def test_no_table_when_nothing_is_on_the_cpu() -> None:
    text = inspection_section(clean())
    assert "<table" not in text and "all 1 operator on the DPU" in text


def test_names_cannot_break_out() -> None:
    text = inspection_section(hostile())
    assert HOSTILE not in text and "<script>alert" not in text
    assert html.escape(HOSTILE) in text


def test_sections_of_the_report_of_a_quantization() -> None:
    page = to_html(small_report(), [small(), clean()])
    assert page.count('id="s-devices-') == 2
    assert "Where it runs: DPUCZDX8G_ISA1_B4096" in page
    assert 'id="s-devices-' not in to_html(small_report())

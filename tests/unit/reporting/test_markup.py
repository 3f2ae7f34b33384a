"""Escaping and the shape of elements."""

from __future__ import annotations

from quantforge.reporting.markup import element, escape, shape, table, tip
from tests.unit.reporting.samples import HOSTILE


def test_what_a_model_says_cannot_leave_its_place():
    for text in (escape(HOSTILE), element("p", data_tip=HOSTILE), shape("rect", id=HOSTILE)):
        assert "<script" not in text
        assert "'" not in text
        assert text.count('"') in (0, 2)


def test_attributes():
    assert element("td", class_="a", data_sort="1e9", hidden=None) == '<td class="a" data-sort="1e9"></td>'
    assert shape("line", x1=-0.04, y1=10.0) == '<line x1="0" y1="10"/>'


def test_a_table_scrolls_on_its_own():
    text = table(["<th>a</th>"], ["<tr><td>1</td></tr>"], id="t")
    assert text.startswith('<div class="scroll"><table id="t"><thead><tr><th>a</th></tr></thead>')


def test_empty_lines_of_a_tooltip_are_dropped():
    assert tip("name", "", "rest") == "name\nrest"

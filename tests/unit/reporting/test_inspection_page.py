"""A page of its own."""

from __future__ import annotations

import re

from quantforge.reporting.inspection_page import inspection_page
from tests.unit.reporting.inspected import hostile, small
from tests.unit.reporting.samples import HOSTILE


def test_the_page_is_whole_and_loads_nothing() -> None:
    page = inspection_page(small())
    assert page.startswith("<!doctype html>\n<html") and page.endswith("</html>\n")
    assert "<h1>net on DPUCZDX8G_ISA1_B4096</h1>" in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
    assert not re.search(r'(src|href)="(http|//)', page)


def test_any_name() -> None:
    page = inspection_page(hostile())
    assert HOSTILE not in page and page.count("<script>") == 1

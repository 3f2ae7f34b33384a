"""``quantforge explain``."""

from __future__ import annotations

import pytest

from quantforge.cli import main
from quantforge.diagnostics import explanations


@pytest.mark.parametrize("code", explanations())
def test_every_code_has_a_page_that_fits_the_terminal(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", code.lower()]) == 0
    title, blank, *text = capsys.readouterr().out.splitlines()
    assert title == f"{code}: {explanations()[code].title}"
    assert blank == ""
    assert max(map(len, text)) <= 88


def test_without_a_code_it_lists_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(explanations())

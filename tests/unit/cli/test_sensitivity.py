"""``quantforge sensitivity``: a table, or JSON."""

from __future__ import annotations

import json

import pytest

from quantforge.cli import main
from tests.unit.frontends.digits import DATA, MODEL


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sensitivity", MODEL, "--data", DATA, "--recipe", "cpu-cnn", "--samples", "16"]) == 0
    out = capsys.readouterr().out
    assert "logits" in out and "share" in out and "about" not in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sensitivity", MODEL, "--data", DATA, "--samples", "16", "--confirm", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == 16 and sum(row["confirmed"] for row in found["layers"]) == 2

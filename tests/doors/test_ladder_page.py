"""The examples of docs/ladder.md run as they are printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from quantforge.cli.main import main
from quantforge.frontends.climb import Climb

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ladder.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, "" for those without."""
    return [body for name, body in re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL) if name == language]


def test_the_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    lines = [line for block in blocks("") for line in block.splitlines()]
    assert [line.split()[1] for line in lines] == ["quantize", "quantize", "sensitivity"]
    for line in lines:
        assert main([word.replace("out/", f"{tmp_path}/") for word in shlex.split(line)[1:]]) == 0, line
    first, again = (tmp_path / f"digits_{name}.onnx" for name in ("ladder", "again"))
    assert first.read_bytes() == again.read_bytes()


def test_the_python_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(blocks("python")[0], names)
    found = names["found"]
    assert isinstance(found, Climb) and found.met
    assert capsys.readouterr().out.startswith("base ")

"""The example of fast fine-tuning, and the same from the command line and a recipe file."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from quantforge.cli import main
from quantforge.quantization.recipe_file import parse_recipe

pytest.importorskip("torch", reason="torch is not installed")

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
PAGE = Path(__file__).parents[2] / "docs" / "fine_tuning.md"


def test_the_example_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(DIGITS / "fine_tune.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("  ")] == ["as calibrated", "adaquant", "adaround"]
    assert sum("dB before" in line for line in lines) == 2


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["quantize", str(DIGITS / "digits.onnx"), "--data", str(DIGITS / "calibration.npy")]
    output = tmp_path / "int8.onnx"
    assert main([*arguments, "-o", str(output), "--finetune", "--finetune-samples", "48", "--json"]) == 0
    assert "on held-out samples of 48" in capsys.readouterr().out
    assert output.exists()
    assert main([*arguments, "-o", str(output), "--finetune-samples", "48"]) == 2  # without --finetune


def test_the_recipe_of_the_page_is_one() -> None:
    text = PAGE.read_text("utf-8").split("```toml")[1].split("```")[0]
    found = parse_recipe(text).finetune
    assert found is not None and found.samples == 512

"""``quantforge quantize --min-sqnr``: files, exit codes, and options that need a goal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantforge.cli import main
from quantforge.frontends import climber
from quantforge.quantization.ladder import STEPS
from quantforge.reporting import from_json
from tests.unit.frontends.digits import DATA, MODEL, labels


@pytest.fixture(autouse=True)
def without_fine_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(climber, "STEPS", STEPS[:2])


def test_a_climb_writes_the_model_and_its_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "m.onnx"
    assert main(["quantize", MODEL, "--data", DATA, "-o", str(output), "--min-sqnr", "26"]) == 0
    captured = capsys.readouterr()
    assert (
        "goal met by bias-correct" in captured.out and f"recipe: {tmp_path / 'm.recipe.toml'}" in captured.out
    )
    assert captured.err.startswith("base: SQNR")
    words = ["--recipe", str(tmp_path / "m.recipe.toml"), "-o", str(tmp_path / "again.onnx")]
    assert main(["quantize", MODEL, "--data", DATA, *words]) == 0
    assert (tmp_path / "again.onnx").read_bytes() == output.read_bytes()


@pytest.mark.slow
def test_the_answer_no_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "labels.npy", labels()[:40])
    np.save(tmp_path / "data.npy", np.load(DATA)[:40])
    goal = ["--min-sqnr", "300", "--max-drop", "5", "--labels", str(tmp_path / "labels.npy")]
    words = ["--recipe", "cpu-cnn", "--hold-out", "2", *goal]
    data = str(tmp_path / "data.npy")
    code = main(["quantize", MODEL, "--data", data, "-o", str(tmp_path / "m.onnx"), "--json", *words])
    report = from_json(capsys.readouterr().out)
    assert (
        code == 1 and report.ladder is not None and not report.ladder.met and (tmp_path / "m.onnx").exists()
    )
    assert report.ladder.rungs[0].figures is not None and report.ladder.rungs[0].figures.samples == 20


@pytest.mark.parametrize(
    "words",
    [
        ["--labels", "x.npy"],
        ["--hold-out", "4"],
        ["--min-sqnr", "9", "--sketches", "s.npz"],
    ],
)
def test_options_that_do_not_go_together(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quantize", MODEL, "--data", DATA, "-o", "m.onnx", *words]) == 2
    assert "Q0002" in capsys.readouterr().err


@pytest.mark.slow
def test_the_executor_goes_without_a_goal(tmp_path: Path) -> None:
    words = ["--recipe", "cpu-cnn", "--executor", "processes", "--workers", "1"]
    assert main(["quantize", MODEL, "--data", DATA, "-o", str(tmp_path / "there.onnx"), *words]) == 0
    assert main(["quantize", MODEL, "--data", DATA, "-o", str(tmp_path / "here.onnx"), *words[:2]]) == 0
    assert (tmp_path / "there.onnx").read_bytes() == (tmp_path / "here.onnx").read_bytes()

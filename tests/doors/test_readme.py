"""The examples of the README run as they are printed."""

import re
import shlex
from pathlib import Path

import pytest

from quantforge.cli.main import main

ROOT = Path(__file__).parents[2]


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, "" for those without."""
    text = (ROOT / "README.md").read_text("utf-8")
    return [body for name, body in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL) if name == language]


def test_the_python_quick_start(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(blocks("python")[0], names)
    result = names["result"]
    assert len(result.plan.tensors) > 5
    assert result.report.outputs[0].sqnr_db > 20


def test_the_command_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(ROOT)
    lines = [line for line in blocks("")[0].splitlines() if line.startswith("quantforge")]
    assert [line.split()[1] for line in lines] == ["quantize", "compare", "doctor", "explain"]
    for line in lines:
        arguments = [word.replace("out/", f"{tmp_path}/") for word in shlex.split(line, comments=True)[1:]]
        assert main(arguments) == 0, line
    assert (tmp_path / "digits_int8.onnx").exists()
    assert (tmp_path / "digits" / "report.html").exists()
    verbs = ["targets", "inspect", "compile", "cost", "run", "compare"]
    lines = [line for line in blocks("")[1].splitlines() if line.startswith("quantforge")]
    assert [line.split()[1] for line in lines] == verbs
    for line in lines:
        arguments = [word.replace("out/", f"{tmp_path}/") for word in shlex.split(line, comments=True)[1:]]
        assert main(arguments) == 0, line
    names: dict[str, object] = {}
    exec(blocks("python")[1].replace("out/", f"{tmp_path}/"), names)
    (logits,) = names["outputs"]  # type: ignore[misc]
    assert logits.shape == (1, 10) and logits.any()


def test_the_vai_q_onnx_script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import numpy as np

    class Reader:
        def __init__(self) -> None:
            images = np.load("examples/digits/calibration.npy")
            self.batches = iter([{"image": images[i : i + 32]} for i in range(0, len(images), 32)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    monkeypatch.chdir(ROOT)
    names = {
        "model_input": "examples/digits/digits.onnx",
        "model_output": str(tmp_path / "out.onnx"),
        "calibration_data_reader": Reader(),
    }
    exec(blocks("python")[2], names)
    assert (tmp_path / "out.onnx").exists()

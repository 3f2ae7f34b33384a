"""`xdputil benchmark`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantforge.debugging.observe import Observer
from tests.compiled_xmodels import classifier
from tests.written_xmodels import write_classifier
from xdputil.cli import main

IMAGE = np.random.default_rng(0).integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLEEP_MS", "50")
    write_classifier("net.xmodel")
    IMAGE.tofile("in.bin")


@pytest.mark.parametrize("index", [[], ["-i", "1"], ["-i", "99"]])
def test_frames_per_second(
    index: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENABLE_MEMCMP", "1")
    assert main(["benchmark", "net.xmodel", *index, "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "10 %" and lines[-1] == "Test PASS."
    assert lines[-2].startswith("FPS= ") and "number_of_frames= " in lines[-2]
    assert [line.split(":")[0] for line in lines[-4:-2]] == ["thread 0", "thread 1"]


def test_outputs_that_are_not_the_expected_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENABLE_MEMCMP", "1")
    made = Observer(classifier(), "ref").run({"image": IMAGE})["logits"]
    words = ["benchmark", "net.xmodel", "-i", "1", "1", "-inputs", "in.bin", "-outputs", "out.bin"]
    made.tofile("out.bin")
    assert main(words) == 0
    (made + np.int8(1)).tofile("out.bin")
    assert main(words) == 1
    assert capsys.readouterr().out.endswith("Test Failed!!!\n")


def test_mistakes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "net.xmodel", "0"]) == 2
    monkeypatch.setenv("SLEEP_MS", "soon")
    assert main(["benchmark", "net.xmodel", "1"]) == 2
    assert "Q1313" in capsys.readouterr().err

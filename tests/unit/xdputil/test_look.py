"""`xdputil xmodel` and `comp_float`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.published_xmodels import published
from tests.written_xmodels import write_classifier
from xdputil.cli import main


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_classifier("net.xmodel")
    return "net.xmodel"


def test_lists_meta_and_an_operator_are_json(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xmodel", model, "-l"]) == 0
    rows = json.loads(capsys.readouterr().out)["subgraphs"]
    assert [row["device"] for row in rows] == ["USER", "DPU", "CPU"]
    assert main(["xmodel", "-m", model]) == 0
    assert json.loads(capsys.readouterr().out)["graph"] == "classifier"
    assert main(["xmodel", model, "--op", "logits"]) == 0
    assert json.loads(capsys.readouterr().out)["type"] == "download"
    assert main(["xmodel", model, "--op", "nothing"]) == 2
    assert "Q1302" in capsys.readouterr().err


def test_text_goes_to_the_terminal_or_a_file(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xmodel", model, "-t"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("graph: classifier\n")
    assert main(["xmodel", model, "-t", "out.txt"]) == 0
    assert Path("out.txt").read_text("utf-8") == text and not list(Path().glob("*.bin"))


def test_blobs_are_stored_when_asked_for(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENABLE_DUMP", "1")
    assert main(["xmodel", model, "-t", "out.txt"]) == 0
    files = list(Path().glob("*.bin"))
    assert files and all(f"md5={file.stem}" in Path("out.txt").read_text("utf-8") for file in files)


def test_pictures_have_default_names(model: str) -> None:
    assert main(["xmodel", model, "-p", "-s", "-S"]) == 0
    assert Path("default.png").read_bytes().startswith(b"\x89PNG")
    assert "conv2d-fix" in Path("default.svg").read_text("utf-8")
    assert "DPU, " in Path("subgraph.svg").read_text("utf-8")
    assert main(["xmodel", model, "-p", "mine.png", "-S", "mine.svg"]) == 0
    assert Path("mine.png").exists() and Path("mine.svg").exists()


def test_programs_and_registers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["xmodel", str(published("mnist_DPUCV2DX8G_ISA1_C20B14.xmodel")), "-b"]) == 0
    assert (tmp_path / "binary" / "sg_1" / "mc_code.bin").stat().st_size == 1412


def test_something_must_be_asked_for(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xmodel", model]) == 2
    assert "say what to show" in capsys.readouterr().err


def test_floats_are_compared_in_percent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    golden = np.linspace(1, 2, 20, dtype=np.float32)
    golden.tofile("golden.bin")
    (golden * np.float32(1.01)).tofile("dump.bin")
    assert main(["comp_float", "golden.bin", "dump.bin", "-t", "2"]) == 0
    assert capsys.readouterr().out == "same: 20 numbers within 2 %\n"
    assert main(["comp_float", "golden.bin", "dump.bin"]) == 1
    out = capsys.readouterr().out
    assert out.count("difference") == 10 and "different: 20 of 20 numbers by more than 0.01 %" in out
    assert main(["comp_float", "golden.bin", "dump.bin", "--verbose"]) == 1
    assert capsys.readouterr().out.count("difference") == 20
    assert main(["comp_float", "golden.bin", "missing.bin"]) == 2
    assert "Q1304" in capsys.readouterr().err

"""``quantforge compare``: text, JSON, labels, and mistakes answered with a code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import quantforge
from quantforge.cli import main

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
MODEL = str(DIGITS / "digits.onnx")
DATA = str(DIGITS / "calibration.npy")


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("models") / "int8.onnx"
    quantforge.quantize(MODEL, DATA, samples=32, output=path)
    return str(path)


def test_it_prints_outputs_and_the_worst_values(quantized: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", MODEL, quantized, "--data", DATA, "--samples", "40"]) == 0
    out = capsys.readouterr().out
    assert MODEL in out and quantized in out.replace("\n", "") and "40 samples in 2 batches" in out
    assert "logits: SQNR" in out and "same answer" in out and "values that differ most" in out


def test_json_is_the_whole_standard_output(
    quantized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "labels.npy", np.zeros(128, np.int64))
    words = ["--labels", str(tmp_path / "labels.npy"), "--samples", "40", "--json"]
    assert main(["compare", MODEL, quantized, "--data", DATA, *words]) == 0
    found = json.loads(capsys.readouterr().out)
    (output,) = found["outputs"]
    assert (output["name"], output["samples"]) == ("logits", 40)
    assert output["agreement"] > 0.9 and 0.0 <= output["float_accuracy"] < 0.5
    assert found["values"][-1]["name"] == "logits"


def test_full_lists_every_value(quantized: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", MODEL, quantized, "--data", DATA, "--samples", "8", "--full"]) == 0
    assert "logits" in capsys.readouterr().out.split("largest error")[1]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantized": "missing.onnx"}, "Q0102"),
        ({"float": DATA}, "Q0101"),
        ({"--data": "missing"}, "Q0207"),
        ({"--labels": "missing.npy"}, "Q0221"),
        ({"--labels": DATA}, "Q0221"),
        ({"--samples": "0"}, "Q0002"),
    ],
)
def test_a_mistake_is_a_coded_error(
    change: dict[str, str], code: str, quantized: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"float": MODEL, "quantized": quantized, "--data": DATA} | change
    command = ["compare", words.pop("float"), words.pop("quantized")]
    assert main([*command, *(word for pair in words.items() for word in pair)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith(code) and "  try       " in captured.err

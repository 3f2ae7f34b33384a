"""``quantforge compare``: text, JSON, labels, and mistakes answered with a code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import quantforge
from quantforge.cli import main
from tests import compiled_digits

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
    assert MODEL in out and quantized in out.replace("\n", "") and "40 samples in 5 batches" in out
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


def test_stages_are_walked_tensor_by_tensor(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", str(compiled_digits.DATA), "--samples", "3"]
    int8, same, other = (
        str(path)
        for path in (
            compiled_digits.quantized(),
            compiled_digits.compiled("PY3_ROUND"),
            compiled_digits.compiled("DPU_ROUND"),
        )
    )
    assert main(["compare", int8, f"{same}@ref", *words]) == 0
    assert "equal: no element differs" in capsys.readouterr().out
    assert main(["compare", int8, f"{other}@run", *words]) == 1
    out = capsys.readouterr().out
    assert "first tensor that differs: stem/relu6" in out and "0 are unexplained" in out
    assert main(["compare", int8, other, *words, "--no-explain", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["tensors"][0]["alone"] is None and found["samples"] == 3


def test_two_onnx_models_element_by_element(capsys: pytest.CaptureFixture[str]) -> None:
    int8 = str(compiled_digits.quantized())
    words = ["--data", str(compiled_digits.DATA), "--samples", "2", "--exact"]
    assert main(["compare", int8, int8, *words]) == 0
    assert main(["compare", MODEL, int8, *words]) == 1
    assert "first tensor that differs" in capsys.readouterr().out


def test_stages_that_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xmodel = str(compiled_digits.compiled("PY3_ROUND"))
    for words, code in (
        ([xmodel, f"{xmodel}@fpga"], "Q1309"),
        ([xmodel, str(tmp_path)], "Q1303"),
        ([MODEL, xmodel], "Q1309"),
        ([MODEL, MODEL], "Q0002"),
        ([MODEL, xmodel, "--labels", "labels.npy"], "Q0002"),
    ):
        assert main(["compare", *words]) == 2
        assert capsys.readouterr().err.startswith(code)

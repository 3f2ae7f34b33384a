from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from quantforge.cli.main import main
from tests.compiled_digits import compiled


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copy(compiled("PY3_ROUND"), tmp_path / "digits.xmodel"))


def test_one_line_or_every_layer(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(model)]) == 0
    assert capsys.readouterr().out.startswith("Predicted on the DPU: ")
    assert main(["cost", str(model), "--layers"]) == 0
    assert "waits for" in capsys.readouterr().out


def test_json_adds_up(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(model), "--json", "--frequency", "100"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["frequency_mhz"] == 100
    assert table["ddr_bytes"] == sum(layer["ddr_bytes"] for layer in table["layers"])
    cycles = sum(layer["cycles"] for layer in table["layers"])
    assert table["latency_ms"] * 100e3 > cycles > 0


def test_another_dpu(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(model), "--target", "VCK190", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["target"].startswith("DPUCVDX8G")

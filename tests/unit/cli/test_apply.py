"""``--apply``: a recipe changed by a report or a TOML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantforge.cli.apply import apply_remedies
from quantforge.diagnostics import InputError
from quantforge.quantization.recipe import DPU_CNN, Override
from quantforge.quantization.report import Cause, Culprit, DataReport, QuantizationReport
from quantforge.reporting.json import to_json

REMEDY = '[[override]]\nop = "/head/*"\nkeep_float = true\n'


def report_with(*remedies: str) -> QuantizationReport:
    culprits = tuple(Culprit(f"t{i}", 0.5, Cause.OUTLIERS, "why", text) for i, text in enumerate(remedies))
    data = DataReport("images", 1, 1)
    return QuantizationReport("m", "h", "dpu-cnn", "", "0.1.0", data, (1, 1), (), (), (), culprits)


def test_the_remedies_of_a_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(to_json(report_with(REMEDY, REMEDY, '[[override]]\ntensor = "x"\nper_channel = true\n')))
    assert apply_remedies(DPU_CNN, path).overrides == (
        Override(op="/head/*", keep_float=True),
        Override(tensor="x", per_channel=True),
    )


def test_a_report_without_remedies_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(to_json(report_with()))
    assert apply_remedies(DPU_CNN, path) == DPU_CNN


def test_a_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "overrides.toml"
    path.write_text("[weights]\nper_channel = true\n" + REMEDY)
    changed = apply_remedies(DPU_CNN, path)
    assert changed.weights.per_channel
    assert changed.overrides == (Override(op="/head/*", keep_float=True),)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"Q0004 .*missing\.json: found .*No such file.*; try: check the path"
    ):
        apply_remedies(DPU_CNN, tmp_path / "missing.json")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"Q0004 .*binary\.toml: found .*can't decode"):
        apply_remedies(DPU_CNN, tmp_path / "binary.toml")

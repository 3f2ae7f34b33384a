"""``quantforge convert``."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from quantforge.cli import main
from quantforge.frontends.onnx import to_proto
from quantforge.frontends.onnx.conversions import CONVERSIONS
from tests.unit.frontends.onnx.test_conversions import graph
from tests.unit.frontends.onnx.test_fixed_shapes import TEXT, sizes
from tests.unit.frontends.onnx.text_models import model


def test_a_conversion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(to_proto(graph()), tmp_path / "q.onnx")
    assert main(["convert", "remove-qdq", str(tmp_path / "q.onnx"), "-o", str(tmp_path / "f.onnx")]) == 0
    assert capsys.readouterr().out == f"model: {tmp_path / 'f.onnx'}\n"
    assert [node.op_type for node in onnx.load(tmp_path / "f.onnx").graph.node] == ["Gemm", "Add", "Relu"]


def test_fixed_sizes(tmp_path: Path) -> None:
    onnx.save(model(TEXT), tmp_path / "m.onnx")
    target = tmp_path / "f.onnx"
    shapes = ["--shape", "x=1,3,4,4", "--shape", "z=1,5"]
    assert main(["convert", "dynamic-to-fixed", str(tmp_path / "m.onnx"), "-o", str(target), *shapes]) == 0
    assert sizes(onnx.load(target))["y"] == [1, 3, 2, 2]


def test_without_a_name_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [*CONVERSIONS, "dynamic-to-fixed"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["remove"], "no conversion 'remove'"),
        (["remove-qdq", "q.onnx"], "quantforge convert remove-qdq MODEL -o OUTPUT"),
        (["remove-qdq", "q.onnx", "-o", "f.onnx", "--shape", "x=1"], "--shape belongs to"),
        (["dynamic-to-fixed", "q.onnx", "-o", "f.onnx", "--shape", "x=a"], "is not like"),
    ],
)
def test_words_that_do_not_fit(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", *words]) != 0
    assert said in capsys.readouterr().err

"""The tools as scripts run them."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import to_proto
from quantforge.frontends.onnx.forms import Form
from tests.unit.frontends.onnx.test_conversions import X, graph
from tests.unit.frontends.onnx.test_fixed_shapes import TEXT, sizes
from tests.unit.frontends.onnx.text_models import model, random, run
from tests.unit.vai_q_onnx.test_quantize_static import network
from vai_q_onnx.tool_command import parse_shapes, run_conversion

TOOLS = [
    *("convert_qdq_to_qop", "remove_qdq", "convert_s8s8_to_u8s8", "convert_customqdq_to_qdq"),
    "convert_onnx_to_onnxtxt",
]


def run_tool(name: str, *words: object) -> int:
    """``python -m vai_q_onnx.tools.NAME WORDS``, in this process."""
    before, sys.argv = sys.argv, [name, *map(str, words)]
    try:
        with pytest.raises(SystemExit) as end:
            runpy.run_module(f"vai_q_onnx.tools.{name}", run_name="__main__")
    finally:
        sys.argv = before
    return int(end.value.code or 0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    onnx.save(to_proto(graph()), tmp_path / "q.onnx")
    return tmp_path / "q.onnx"


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_writes_its_file(name: str, source: Path) -> None:
    target = source.with_name("out.onnx")
    assert run_tool(name, "--input", source, "--output", target) == 0
    if "txt" in name:
        assert run_tool("convert_onnxtxt_to_onnx", target, source.with_name("back.onnx")) == 0
        target = source.with_name("back.onnx")
    same = "remove" not in name
    assert np.array_equal(run(target, {"x": X})[0], run(source, {"x": X})[0]) == same


@pytest.mark.parametrize("words", [("--input_model", "--output_model"), ("-i", "-o"), ("", "")])
def test_the_options_have_the_names_of_all_releases(words: tuple[str, str], source: Path) -> None:
    target = source.with_name("out.onnx")
    given = [word for pair in zip(words, (source, target), strict=True) for word in map(str, pair) if word]
    assert run_conversion("qdq-to-qop", given) == 0
    assert target.exists()


def test_fixed_shapes(tmp_path: Path) -> None:
    onnx.save(model(TEXT), tmp_path / "m.onnx")
    words = ["--fix_shapes", "x:[1,3,4,4];z:[1, 5]", tmp_path / "m.onnx", tmp_path / "f.onnx"]
    assert run_tool("convert_dynamic_to_fixed", *words) == 0
    assert sizes(onnx.load(tmp_path / "f.onnx"))["t"] == [1, 10]
    with pytest.raises(InputError, match="Q0614 --fix_shapes: found 'x=1'"):
        parse_shapes("x=1")


@pytest.mark.slow
def test_random_quantize_as_a_process(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "float.onnx")
    words = ["--input_model", str(tmp_path / "float.onnx"), "--quant_model", str(tmp_path / "q.onnx")]
    subprocess.run([sys.executable, "-m", "vai_q_onnx.tools.random_quantize", *words], check=True)
    assert run(tmp_path / "q.onnx", {"x": random(1, 3, 8, 8)})[0].shape == (1, 4)


def test_mistakes_are_one_line_and_an_exit_code(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(network(), source.with_name("float.onnx"))
    assert run_conversion("remove-qdq", [str(source.with_name("float.onnx")), "out.onnx"]) == 1
    assert capsys.readouterr().err.startswith("Q0613 ")
    with pytest.raises(SystemExit):
        run_conversion("remove-qdq", [str(source)])
    assert "give an input and an output" in capsys.readouterr().err


def test_a_fix_neuron_model_becomes_native(tmp_path: Path) -> None:
    made = graph()
    onnx.save(to_proto(made, form=Form.VITIS), tmp_path / "q.onnx")
    assert run_tool("convert_customqdq_to_qdq", tmp_path / "q.onnx", tmp_path / "n.onnx") == 0
    assert not onnx.load(tmp_path / "n.onnx").functions

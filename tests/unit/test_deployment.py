"""`quantforge.deploy`: what it takes, and that what it writes runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quantforge
from quantforge.compiler.options import parse_options
from quantforge.diagnostics import InputError, QuantforgeError
from quantforge.runtime import GraphRunner
from quantforge.xmodel.read import read_xmodel
from tests.compiled_digits import compiled, quantized
from tests.networks import Net

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def test_a_result_a_graph_and_a_file_give_the_same_model(tmp_path: Path) -> None:
    images = np.load(DIGITS / "calibration.npy")[:32]
    result = quantforge.quantize(DIGITS / "digits.onnx", [{"image": images}], output=tmp_path / "q.onnx")
    built = {
        "result": quantforge.deploy(result, "KV260", tmp_path / "result.xmodel", vectors=0),
        "graph": quantforge.deploy(result.graph, "KV260", tmp_path / "graph.xmodel", vectors=0),
        "file": quantforge.deploy(tmp_path / "q.onnx", "KV260", tmp_path / "file.xmodel", vectors=0),
    }
    assert built["result"].report.devices == {"USER": 1, "DPU": 1, "CPU": 1}
    answers = []
    for name in built:
        with GraphRunner(read_xmodel(tmp_path / f"{name}.xmodel")) as runner:
            (tensor,) = runner.input_tensors()
            stored = np.clip(np.rint(images * 2.0 ** (tensor.fix_point or 0)), -128, 127).astype(np.int8)
            answers.append(runner.run(stored.transpose(0, 2, 3, 1).copy())[0])
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_the_hardwares_arithmetic(tmp_path: Path) -> None:
    for arithmetic, rounding in (("model", "PY3_ROUND"), ("dpu", "DPU_ROUND")):
        quantforge.deploy(quantized(), "KV260", tmp_path / "d.xmodel", arithmetic=arithmetic)  # type: ignore[arg-type]
        model = read_xmodel(tmp_path / "d.xmodel")
        modes = {op.tensor.attrs["round_mode"].value for op in model.ops.values() if op.kind == "conv2d-fix"}
        assert modes == {rounding}


def test_a_compiled_model_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(QuantforgeError, match="Q1101"):
        quantforge.deploy(compiled("PY3_ROUND"), "KV260", tmp_path / "again.xmodel")
    assert list(tmp_path.iterdir()) == []


def test_one_shape_for_two_inputs(tmp_path: Path) -> None:
    net = Net()
    graph = net.done(net.conv("c", "x", 4))
    second = graph.value("x")
    graph.inputs = (*graph.inputs, "x2")
    graph.set_value(type(second)("x2", second.shape, second.dtype))
    options = parse_options('{"input_shape": "1,3,6,6"}')
    with pytest.raises(InputError, match="Q1103"):
        quantforge.deploy(graph, "KV260", tmp_path / "two.xmodel", options=options)

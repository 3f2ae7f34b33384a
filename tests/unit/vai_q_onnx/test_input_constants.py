from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import vai_q_onnx
from quantforge.graph import Array
from tests.unit.frontends.onnx.text_models import model, random, run
from vai_q_onnx.input_constants import input_constants, lost_notice

TEXT = """agraph (float[2,3,4,4] x, float[4,3,1,1] w, float[4] b, float[1,4,1,1] s) => (float[2,4,4,4] y) {
    [c] h = Conv (x, w, b)
    [e] y = Elu (h)
    [u] z = Mul (y, s)
}"""
CONSTANTS = {"w": random(4, 3, 1, 1), "b": random(4), "s": random(1, 4, 1, 1), "t": random(1, 4, 1, 1)}


class Reader:
    left = 3

    def get_next(self) -> dict[str, Array] | None:
        self.left -= 1
        return {"x": random(2, 3, 4, 4, seed=self.left)} if self.left >= 0 else None


def proto() -> Any:
    text = TEXT.replace("[e] y = Elu (h)", "[a] k = Add (h, t) [e] j = Elu (k)").replace(
        "z = Mul (y, s)", "y = Mul (j, s)"
    )
    return model(text, **CONSTANTS)


def quantized(path: Path, **extra: bool) -> Any:
    arguments: dict[str, Any] = {"nodes_to_exclude": ["e", "u"], "print_summary": False}
    vai_q_onnx.quantize_static(proto(), path, Reader(), extra_options=extra, **arguments)
    made = onnx.load(path)
    onnx.checker.check_model(made, full_check=True)
    return made


def test_constants_that_the_model_lists_as_inputs() -> None:
    assert sorted(input_constants(proto()).arrays) == ["b", "s", "w"]


def test_they_stay_inputs_where_they_are_as_they_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "q.onnx"
    assert [value.name for value in quantized(path).graph.input] == ["x"]
    caplog.clear()
    with caplog.at_level(logging.WARNING, "vai_q_onnx"):
        made = quantized(path, RemoveInputInit=False)
    assert [value.name for value in made.graph.input] == ["x", "s"]
    assert "Q0718 option RemoveInputInit: found w, b folded or stored in integers" in caplog.text
    x, twice = random(2, 3, 4, 4, seed=9), 2 * CONSTANTS["s"]
    np.testing.assert_allclose(run(path, {"x": x, "s": twice})[0], 2 * run(path, {"x": x})[0], rtol=1e-6)


def test_weights_in_float_can_be_given_too(tmp_path: Path) -> None:
    path = tmp_path / "q.onnx"
    made = quantized(path, RemoveInputInit=False, AddQDQPairToWeight=True)
    assert [value.name for value in made.graph.input] == ["x", "w", "s"], "biases are int32"
    x = random(2, 3, 4, 4, seed=9)
    changed = run(path, {"x": x, "w": np.zeros_like(CONSTANTS["w"])})[0]
    assert not np.array_equal(changed, run(path, {"x": x})[0])
    assert np.ptp(changed, axis=(2, 3)).max() == 0, "only the bias is left"


def test_many_names_are_counted() -> None:
    assert "a, b, c, d and 2 more folded" in str(lost_notice(list("abcdef")))


def test_in_blocks_too(tmp_path: Path) -> None:
    path = tmp_path / "q.onnx"
    arguments: dict[str, Any] = {
        "quant_format": vai_q_onnx.VitisQuantFormat.BFPFixNeuron,
        "print_summary": False,
    }
    vai_q_onnx.quantize_static(
        proto(), path, Reader(), extra_options={"RemoveInputInit": False}, debug_mode=True, **arguments
    )
    names = [value.name for value in onnx.load(path).graph.input]
    assert names[0] == "x" and "w" in names, "weights are stored as they were, in front of BFPFixNeuron"
    assert (tmp_path / "q.onnx.debug.txt").exists()

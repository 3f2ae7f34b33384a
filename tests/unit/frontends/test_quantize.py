"""`quantforge.quantize`: what comes back, what is written, and that options reach the flow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import quantforge
from quantforge.diagnostics import QuantforgeError
from quantforge.frontends.onnx import import_model
from quantforge.numerics.formats import IntFormat
from quantforge.progress import Progress
from quantforge.quantization.plan import Plan
from quantforge.quantization.recipe import CPU_CNN, Override
from tests.unit.frontends.onnx.text_models import model, random, run

TEXT = """
small (float[N, 3, 8, 8] x) => (float[N, 4] y) {
  c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w1, b1)
  r = Relu (c)
  p = GlobalAveragePool (r)
  f = Flatten (p)
  y = Gemm <transB = 1> (f, w2, b2)
}
"""
WEIGHTS = {"w1": random(5, 3, 3, 3), "b1": random(5), "w2": random(4, 5), "b2": random(4)}
DATA = random(12, 3, 8, 8, seed=1)


def small() -> onnx.ModelProto:
    return model(TEXT, **WEIGHTS)


def test_the_result_holds_model_plan_and_report(tmp_path: Path) -> None:
    output = tmp_path / "q.onnx"
    result = quantforge.quantize(small(), DATA, recipe="cpu-cnn", output=output)
    assert result.path == output and [path.name for path in tmp_path.iterdir()] == ["q.onnx"]
    expected, found = run(small(), {"x": DATA})[0], run(output, {"x": DATA})[0]
    sqnr = 10 * np.log10(np.square(expected).sum() / np.square(expected - found).sum())
    assert sqnr > 30.0
    np.testing.assert_array_equal(run(result.model, {"x": DATA})[0], found)
    assert set(result.plan.tensors) == {value.name for value in result.graph.quantized()}
    assert Plan.from_json(result.plan.to_json()) == result.plan
    report = result.report
    assert (report.model, report.recipe, report.data.samples) == ("small", "cpu-cnn", 12)
    assert report.outputs[0].sqnr_db == pytest.approx(sqnr, abs=1.0)
    assert report.outputs[0].agreement is not None
    assert {"import", "calibration", "measure", "write"} <= {timing.stage for timing in report.timings}


def test_the_file_says_what_made_it(tmp_path: Path) -> None:
    path = quantforge.quantize(small(), DATA).save(tmp_path / "q.onnx")
    proto = onnx.load(path)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert metadata["quantforge.recipe"] == "dpu-cnn" and metadata["quantforge.version"]
    made = {
        node.name: {e.key: e.value for e in node.metadata_props} or node.doc_string
        for node in proto.graph.node
    }
    assert "quantize" in str(made["x_QuantizeLinear"])


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.onnx", "b.onnx")]
    for path in files:
        quantforge.quantize(small(), DATA, output=path)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_any_form_of_model_and_data_gives_the_same_plan(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    onnx.save(small(), path)
    np.save(tmp_path / "data.npy", DATA)
    plans = [
        quantforge.quantize(source, data, batch_size=12).plan
        for source, data in (
            (str(path), tmp_path / "data.npy"),
            (path.read_bytes(), [{"x": DATA}]),
            (import_model(path), [DATA[:5], DATA[5:]]),
        )
    ]
    assert plans[0] == plans[1] == plans[2]


def test_options_reach_the_flow() -> None:
    seen: list[Progress] = []
    result = quantforge.quantize(
        small(),
        DATA,
        recipe=CPU_CNN,
        target="cpu",
        samples=8,
        batch_size=4,
        overrides=[Override(tensor="x", format=IntFormat(16))],
        threads=1,
        listener=seen.append,
    )
    assert result.report.target == "cpu" and result.report.data.samples == 8
    assert [state.done for state in seen] == [1, 2]
    assert str(result.plan.tensors["x"].format) == "int16"
    assert "int16" in result.report.recipe_text


def test_sketches_are_written_once_and_used_again(tmp_path: Path) -> None:
    path = tmp_path / "sketches.npz"
    first, second = (quantforge.quantize(small(), DATA, sketches=path) for _ in range(2))
    assert first.plan == second.plan
    assert "load sketches" in {timing.stage for timing in second.report.timings}


@pytest.mark.parametrize("output", ["missing/q.onnx", "."])
def test_an_output_that_cannot_be_written_is_said_at_once(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("quantforge.frontends.quantize.import_model", lambda _: pytest.fail("it began"))
    with pytest.raises(QuantforgeError, match="Q0601"):
        quantforge.quantize(small(), DATA, output=output)
    with pytest.raises(QuantforgeError, match="Q0601"):
        quantforge.quantize(small(), DATA, sketches=output)


def test_an_older_output_survives_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "q.onnx"
    path.write_text("older")
    with pytest.raises(QuantforgeError, match="Q0201"):
        quantforge.quantize(small(), [], output=path)
    assert path.read_text() == "older"

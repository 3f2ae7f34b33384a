"""`quantforge.compare` on models of this quantizer and of ONNX Runtime's own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import quantforge
from quantforge.diagnostics import QuantforgeError
from quantforge.frontends.compare import common_inputs, match_values, read_labels
from quantforge.frontends.onnx import import_model
from tests.unit.frontends.onnx.text_models import model, random, run
from tests.unit.frontends.test_quantize import DATA, small

LABELS = np.arange(12) % 4


@pytest.fixture(scope="module")
def quantized() -> Any:
    return quantforge.quantize(small(), DATA, recipe="cpu-cnn").model


def test_outputs_are_compared_as_the_models_compute_them(quantized: Any) -> None:
    found = quantforge.compare(small(), quantized, DATA, labels=LABELS, batch_size=5)
    y, z = (run(proto, {"x": DATA})[0].astype(np.float64) for proto in (small(), quantized))
    assert (found.data.samples, found.data.batches) == (12, 3)
    value, output = found.value("y"), found.output("y")
    assert value is not None and output is not None
    assert output.sqnr_db == value.sqnr_db
    # the reference run may differ in the last bits: other kernels for other batch sizes
    assert value.sqnr_db == pytest.approx(10 * math.log10((y**2).sum() / ((y - z) ** 2).sum()), abs=0.05)
    assert value.max_error == pytest.approx(np.abs(y - z).max(), rel=1e-3)
    assert output.agreement == np.mean(y.argmax(1) == z.argmax(1))
    assert output.float_accuracy == np.mean(y.argmax(1) == LABELS)
    assert output.quantized_accuracy == np.mean(z.argmax(1) == LABELS)


def test_values_are_matched_by_name_in_topological_order(quantized: Any) -> None:
    found = quantforge.compare(small(), quantized, DATA)
    pairs = {value.name: value.counterpart for value in found.values}
    assert list(pairs) == [name for name in ("x", "c", "r", "p", "f", "y") if name in pairs]
    assert pairs["x"] == "x_DequantizeLinear_Output" and pairs["r"] == "r_DequantizeLinear_Output"
    assert (pairs["c"], pairs["y"]) == ("c", "y")
    assert found.output("y") is not None and found.output("z") is None and found.value("z") is None
    assert found.first_drop is None


def test_a_model_compared_with_itself_is_exact() -> None:
    found = quantforge.compare(small(), small(), DATA)
    assert {value.sqnr_db for value in found.values} == {math.inf}
    assert found.outputs[0].agreement == 1.0 and found.first_drop is None


def test_the_layer_that_was_broken_is_named(quantized: Any) -> None:
    broken = onnx.ModelProto.FromString(quantized.SerializeToString())
    (scale,) = (t for t in broken.graph.initializer if t.name == "r_scale")
    scale.CopyFrom(onnx.numpy_helper.from_array(np.float32(1e-4), "r_scale"))  # saturates nearly all
    assert quantforge.compare(small(), broken, DATA).first_drop == "r"


def test_a_model_of_onnx_runtimes_quantizer(tmp_path: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        batches = iter([{"x": DATA}])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    onnx.save(small(), tmp_path / "float.onnx")
    quantize_static(tmp_path / "float.onnx", tmp_path / "q.onnx", Reader())
    found = quantforge.compare(tmp_path / "float.onnx", tmp_path / "q.onnx", DATA)
    assert {"x", "r", "y"} <= {value.name for value in found.values}
    assert found.outputs[0].sqnr_db is not None and found.outputs[0].sqnr_db > 20.0


def test_integer_outputs_and_outputs_of_one_side_only() -> None:
    two = model(
        "g (float[N, 4] x) => (float[N, 4] y, int64[N] k) { y = Relu (x) k = ArgMax <axis = 1, keepdims = 0> (y) }"
    )
    one = model("g (float[N, 4] x) => (float[N, 4] y) { y = Relu (x) }")
    data = random(6, 4)
    assert [output.name for output in quantforge.compare(two, two, data).outputs] == ["y", "k"]
    found = quantforge.compare(two, one, data)
    assert [notice.code for notice in found.notices] == ["Q0118"] and "'k'" in found.notices[0].where


@pytest.mark.parametrize(
    ("other", "names"),
    [
        ("g (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] z) { z = Relu (x) }", "outputs 'z'; expected 'y'"),
        ("g (float[N, 3, 8, 8] w) => (float[N, 3, 8, 8] y) { y = Relu (w) }", "inputs 'w'; expected 'x'"),
        ("g (float[N, 3, 9, 9] x) => (float[N, 3, 9, 9] y) { y = Relu (x) }", "input 'x'"),
        ("g (double[N, 3, 8, 8] x) => (double[N, 3, 8, 8] y) { y = Relu (x) }", "found float64"),
    ],
    ids=["outputs", "inputs", "shape", "dtype"],
)
def test_models_that_do_not_fit_together(other: str, names: str) -> None:
    with pytest.raises(QuantforgeError, match="Q0118") as caught:
        quantforge.compare(small(), model(other), DATA)
    assert names in str(caught.value)


def test_a_batch_size_that_one_model_fixes_holds_for_both() -> None:
    fixed = model("g (float[2, 4] x) => (float[2, 4] y) { y = Relu (x) }")
    free = model("g (float[N, 4] x) => (float[N, 4] y) { y = Relu (x) }")
    graphs = import_model(free), import_model(fixed)
    assert common_inputs(*graphs)[0].shape == common_inputs(*graphs[::-1])[0].shape == (2, 4)
    assert match_values(*graphs)[0] == {"y": "y"}
    found = quantforge.compare(free, fixed, random(5, 4), labels=np.zeros(5, int))
    assert found.data.samples == 4 and [notice.code for notice in found.notices] == ["Q0220"]


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (LABELS[:11], "11 labels and at least 12 samples"),
        (np.zeros(13, int), "13 labels for 12 samples"),
        (np.eye(4)[LABELS], "float64 of shape"),
        (["cat"] * 12, "of shape [12]"),
        ("absent.npy", "No such file"),
    ],
    ids=["few", "many", "one-hot", "text", "no file"],
)
def test_labels_that_do_not_fit(labels: Any, found: str, quantized: Any) -> None:
    with pytest.raises(QuantforgeError, match="Q0221") as caught:
        quantforge.compare(small(), quantized, DATA, labels=labels)
    assert found in str(caught.value)


def test_labels_from_a_file_and_of_the_first_samples(quantized: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", LABELS.astype(np.uint8))
    found = quantforge.compare(small(), quantized, DATA, labels=tmp_path / "labels.npy", samples=7)
    assert found.outputs[0].samples == 7 and found.outputs[0].float_accuracy is not None
    np.savez(tmp_path / "labels.npz", LABELS)
    with pytest.raises(QuantforgeError, match=r"Q0221 .*found an \.npz file"):
        read_labels(tmp_path / "labels.npz")

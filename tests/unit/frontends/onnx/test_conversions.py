"""Files from one form to another: what changes, and that the numbers do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import import_model, to_proto
from quantforge.frontends.onnx.conversions import (
    convert,
    with_unsigned_activations,
    without_specs,
)
from quantforge.frontends.onnx.forms import Form
from quantforge.graph import Array, Graph, QuantSpec
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import INT8, INT32, UINT8

from .text_models import model, random, run

X = random(4, 5) * 2
W, B, K = random(5, 3), random(3), random(3)


def graph() -> Graph:
    """Gemm, an addition of a constant and an activation, all in 8 bits."""
    built = import_model(
        model("g (float[N, 5] x) => (y) { h = Gemm (x, w, b) a = Add (h, k) y = Relu (a) }", w=W, b=B, k=K)
    )
    scales = {"x": 2.0**-5, "w": 2.0**-6, "h": 2.0**-4, "k": 2.0**-6, "y": 2.0**-4}
    for name, scale in scales.items():
        built.set_value(replace(built.value(name), quant=QuantSpec(INT8, (scale,))))
    built.set_value(replace(built.value("b"), quant=QuantSpec(INT32, (2.0**-11,))))
    return built


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for form in (Form.QDQ, Form.VITIS, Form.FIX_NEURON):
        source = graph() if form is Form.QDQ else _own_bias()
        onnx.save(to_proto(source, form=form), tmp_path / f"{form}.onnx")
    onnx.save(to_proto(without_specs(graph())), tmp_path / "float.onnx")
    return tmp_path


def _own_bias() -> Graph:
    built = graph()
    built.set_value(replace(built.value("b"), quant=QuantSpec(INT8, (2.0**-6,))))
    return built


def answer(path: Path) -> Array:
    return run(path, {"x": X})[0]


def kinds(path: Path) -> set[str]:
    return {f"{node.domain}:{node.op_type}".removeprefix(":") for node in onnx.load(path).graph.node}


def test_qdq_to_operators_on_integers(folder: Path) -> None:
    written = convert("qdq-to-qop", folder / "qdq.onnx", folder / "qop.onnx")
    assert {"com.microsoft:QGemm", "com.microsoft:QLinearAdd"} <= kinds(written)
    np.testing.assert_array_equal(answer(written), answer(folder / "qdq.onnx"))


@pytest.mark.parametrize("form", ["vitis", "fix-neuron"])
def test_operators_of_vitis_ai_to_the_standards(form: str, folder: Path) -> None:
    source = folder / f"{form}.onnx"
    written = convert("customqdq-to-qdq", source, folder / "native.onnx")
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds(written)
    proto = onnx.load(written)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [
        ("", 17)
    ] and not proto.functions
    np.testing.assert_array_equal(answer(written), answer(source))


@pytest.mark.parametrize("form", ["qdq", "vitis", "fix-neuron"])
def test_without_quantization_weights_are_those_of_the_file(form: str, folder: Path) -> None:
    written = convert("remove-qdq", folder / f"{form}.onnx", folder / "removed.onnx")
    assert kinds(written) == {"Gemm", "Add", "Relu"}
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(written).graph.initializer}
    rounded = fake_quantize_value(W, QuantSpec(INT8, (2.0**-6,)))
    np.testing.assert_array_equal(stored["w"], rounded if form == "qdq" else W)


def test_unsigned_activations_with_the_same_numbers(folder: Path) -> None:
    written = convert("s8s8-to-u8s8", folder / "qdq.onnx", folder / "u8.onnx")
    np.testing.assert_array_equal(answer(written), answer(folder / "qdq.onnx"))
    changed = with_unsigned_activations(graph())
    specs = {value.name: value.quant for value in changed.quantized()}
    assert {name for name, spec in specs.items() if spec is not None and spec.format == UINT8} == {
        "x",
        "h",
        "k",
        "y",
    }
    assert specs["x"] == QuantSpec(UINT8, (2.0**-5,), (128,)) and specs["w"] == graph().value("w").quant


def test_text_and_back(folder: Path) -> None:
    text = convert("onnx-to-onnxtxt", folder / "qdq.onnx", folder / "model.onnxtxt")
    assert 'op_type: "QuantizeLinear"' in text.read_text()
    back = convert("onnxtxt-to-onnx", text, folder / "back.onnx")
    assert onnx.load(back) == onnx.load(folder / "qdq.onnx")
    text.write_text("graph { nodes {} }")
    with pytest.raises(InputError, match=r"Q0615 .*model.onnxtxt: found "):
        convert("onnxtxt-to-onnx", text, folder / "back.onnx")


def test_halves_become_singles(tmp_path: Path) -> None:
    proto = model("g (float16[N, 3] x) => (float16[N, 3] y) { y = Mul (x, k) }", k=K.astype(np.float16))
    onnx.save(proto, tmp_path / "half.onnx")
    written = convert("fp16-to-fp32", tmp_path / "half.onnx", tmp_path / "single.onnx")
    x = random(2, 3)
    np.testing.assert_array_equal(run(written, {"x": x})[0], x * K.astype(np.float16).astype(np.float32))


def test_channels_last(tmp_path: Path) -> None:
    proto = model("g (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = Neg (x) }")
    onnx.save(proto, tmp_path / "nchw.onnx")
    written = convert("nchw-to-nhwc", tmp_path / "nchw.onnx", tmp_path / "nhwc.onnx")
    x = random(1, 8, 8, 3)
    np.testing.assert_array_equal(run(written, {"x": x})[0], -x)


@pytest.mark.parametrize("name", ["qdq-to-qop", "customqdq-to-qdq", "remove-qdq", "s8s8-to-u8s8"])
def test_a_float_model_is_refused_and_nothing_written(name: str, folder: Path) -> None:
    with pytest.raises(InputError, match=r"Q0613 .*float.onnx: found no QuantizeLinear"):
        convert(name, folder / "float.onnx", folder / "none.onnx")
    assert not (folder / "none.onnx").exists()

"""Sessions: observed values, reused buffers, shared weights, and inputs that do not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from onnx import helper

from quantforge.calibration.samples import InputInfo
from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import OnnxExecutor, import_model, input_infos
from quantforge.frontends.onnx import run as onnx_run
from quantforge.frontends.onnx.build import build
from quantforge.graph import Graph, QuantSpec
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import INT8

from .text_models import model, random

TEXT = "g (float[N,3,8,8] x) => (y) { c = Conv(x, w, b) r = Relu(c) y = GlobalAveragePool(r) }"
WEIGHTS = {"w": random(4, 3, 3, 3), "b": random(4)}
X = random(2, 3, 8, 8, seed=3)


def graph() -> Graph:
    return import_model(model(TEXT, **WEIGHTS))


def session(*observe: str, of: Graph | None = None) -> Any:
    return OnnxExecutor(threads=1).session(of or graph(), observe)


def test_any_value_can_be_observed() -> None:
    found = session("y", "c", "x", "w").run({"x": X})
    assert list(found) == ["y", "c", "x", "w"]
    np.testing.assert_array_equal(found["x"], X)
    np.testing.assert_array_equal(found["w"], WEIGHTS["w"])
    np.testing.assert_allclose(found["y"], np.maximum(found["c"], 0).mean((2, 3), keepdims=True), rtol=1e-5)


def test_buffers_are_reused_for_equal_shapes() -> None:
    made = session("c")
    first = made.run({"x": X})["c"]
    kept = first.copy()
    second = made.run({"x": -X})["c"]
    assert second.ctypes.data == first.ctypes.data and not np.array_equal(kept, second)
    assert made.run({"x": X[:1]})["c"].shape == (1, 4, 6, 6)
    np.testing.assert_allclose(made.run({"x": X})["c"], kept, rtol=1e-6)


def test_values_whose_size_depends_on_the_data_work() -> None:
    found = session("y", of=import_model(model("g (float[N] x) => (y) { y = NonZero(x) }")))
    assert found.run({"x": np.array([0, 1, 2], np.float32)})["y"].shape == (1, 2)
    assert found.run({"x": np.array([0, 0, 2], np.float32)})["y"].shape == (1, 1)


def test_inputs_of_any_memory_order() -> None:
    made = session("y")
    want = made.run({"x": X})["y"].copy()
    turned = np.ascontiguousarray(X.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(made.run({"x": turned})["y"], want)


def test_values_with_a_spec_are_fake_quantized() -> None:
    quantized = graph()
    for name, scale in (("x", 0.0625), ("w", 0.03125), ("r", 0.125)):
        quantized.set_value(replace(quantized.value(name), quant=QuantSpec(INT8, (scale,))))
    found = {k: v.copy() for k, v in session("x", "w", "c", "r", of=quantized).run({"x": X}).items()}
    for name in ("x", "w"):
        spec = quantized.value(name).quant
        assert spec is not None
        plain = X if name == "x" else WEIGHTS["w"]
        np.testing.assert_array_equal(found[name], fake_quantize_value(plain, spec))
    float_conv = session("c").run({"x": found["x"]})["c"]
    assert not np.allclose(float_conv, found["c"], atol=1e-6)  # the weights are quantized too
    np.testing.assert_array_equal(found["r"] / np.float32(0.125), np.round(found["r"] / np.float32(0.125)))


def test_integer_kernels_stay_within_one_step() -> None:
    quantized = graph()
    specs = {
        "x": QuantSpec(INT8, (0.0625,)),
        "w": QuantSpec(INT8, (0.03125,)),
        "r": QuantSpec(INT8, (0.125,)),
    }
    for name, spec in specs.items():
        quantized.set_value(replace(quantized.value(name), quant=spec))
    exact = session("r", of=quantized).run({"x": X})["r"]
    deployed = OnnxExecutor(threads=1, integer_kernels=True).session(quantized, ["r"]).run({"x": X})["r"]
    assert np.abs(exact - deployed).max() <= 0.125


def test_input_infos() -> None:
    assert input_infos(graph()) == (InputInfo("x", "float32", ("N", 3, 8, 8)),)
    assert session("y").inputs[0].name == "x"


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"image": X}, "Q0112 model 'g': found inputs named 'image'; expected 'x'"),
        ({}, "Q0112 model 'g': found inputs named nothing; expected 'x'"),
        ({"x": X[:, :2]}, "Q0113 input 'x': found shape 2 x 2 x 8 x 8; expected shape N x 3 x 8 x 8"),
        ({"x": X[0]}, "Q0113 input 'x': found shape 3 x 8 x 8; expected"),
        ({"x": X.astype(np.float64)}, "Q0114 input 'x': found dtype float64; expected dtype float32"),
    ],
)
def test_feeds_that_do_not_fit(feeds: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        session("y").run(feeds)


def test_named_sizes_must_agree_between_inputs() -> None:
    both = import_model(model("g (float[N] a, float[N] b) => (y) { y = Add(a, b) }"))
    with pytest.raises(InputError, match=r"Q0113 input 'b': found shape 3; expected shape N"):
        session("y", of=both).run({"a": random(2), "b": random(3)})


def test_a_run_that_fails_is_reported_and_can_be_retried() -> None:
    made = session(
        "y", of=import_model(model("g (float[N] x) => (y) <int64[2] k = {2, 3}> { y = Reshape(x, k) }"))
    )
    with pytest.raises(InputError, match=r"Q0115 model 'g' on inputs x \(5,\): found .*Reshape"):
        made.run({"x": random(5)})
    assert made.run({"x": random(6)})["y"].shape == (2, 3)


def test_a_model_onnx_runtime_refuses() -> None:
    proto = model("g (float[2] x) => (float[2] y) { y = odd.Op(x) }")
    proto.opset_import.append(helper.make_opsetid("odd", 1))
    with pytest.raises(InputError, match=r"Q0111 model 'g': found .*odd"):
        session("y", of=import_model(proto))


def test_observing_what_does_not_exist() -> None:
    with pytest.raises(InputError, match=r"Q0117 model 'g': found no tensor named 'ghost'"):
        session("ghost")


def test_strings_pass_through() -> None:
    text = "g (string[2] s, float[2] x) => (y, z) { y = Identity(s) z = Relu(x) }"
    feeds = {"s": np.array(["a", "b"], object), "x": random(2)}
    found = session("y", "z", of=import_model(model(text))).run(feeds)
    assert found["y"].tolist() == ["a", "b"]


def test_large_constants_are_dequantized_for_each_reader_and_first(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "g (float[n,64] x) => (float[n,64] y) { a = MatMul (x, w) b = Relu (a) c = MatMul (b, w) y = Add (c, a) }"
    graph = import_model(model(text, w=random(64, 64) / 8))
    graph.set_value(replace(graph.value("w"), quant=QuantSpec.power_of_two(INT8, 7)))
    feeds = {"x": random(3, 64)}
    want = OnnxExecutor(threads=1).session(graph, ["y"]).run(feeds)["y"].copy()
    monkeypatch.setattr(onnx_run, "_LATE_BYTES", 1000)
    built = build(graph)
    onnx_run._constants_first(built)
    types = [node.op_type for node in built.model.graph.node]
    assert types[:2] == ["DequantizeLinear"] * 2 and types.count("DequantizeLinear") == 2
    assert len({name for node in built.model.graph.node for name in node.output}) == len(types)
    for brief in (False, True):
        got = OnnxExecutor(threads=1).session(graph, ["y"], brief=brief).run(feeds)["y"]
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_a_session_with_a_lot_of_weights_takes_them_as_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = import_model(
        model("g (float[n,64] x) => (float[n,64] y) { y = MatMul (x, w) }", w=random(64, 64))
    )
    feeds = {"x": random(3, 64)}
    plain = OnnxExecutor(threads=1).session(graph, ["y"])
    monkeypatch.setattr(onnx_run, "_LARGE_BYTES", 1000)
    large = OnnxExecutor(threads=1).session(graph, ["y"])
    assert [i.name for i in plain._runtime.get_inputs()] == ["x"]
    assert [i.name for i in large._runtime.get_inputs()] == ["x", "w"]
    np.testing.assert_allclose(large.run(feeds)["y"], plain.run(feeds)["y"], rtol=1e-5)

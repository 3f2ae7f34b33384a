"""Q/DQ to specs: what our emitter and ONNX Runtime's quantizer write, and what cannot be a pair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import save
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from quantforge.frontends.onnx import OnnxExecutor, import_model, to_proto
from quantforge.frontends.onnx.absorb_qdq import absorb
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.quantize import quantize
from quantforge.graph import Array, Graph, QuantSpec, Value
from quantforge.graph.text import print_graph
from quantforge.graph.verify import verify
from quantforge.numerics.formats import BFLOAT16, FLOAT16, INT8, INT16, INT32, UINT8, Format, IntFormat
from quantforge.ops.interpreter import Interpreter
from quantforge.ops.registry import KINDS
from tests.networks import Net

from .text_models import model, random, run

QDQ = ("QuantizeLinear", "DequantizeLinear")


def network() -> Graph:
    net = Net(seed=3)
    first = net.add("relu", "r", (net.batchnorm("n", net.conv("c", "x", 8)),))
    second = net.depthwise("d", first)
    both = net.add("concat", "cat", (first, second), 16, axis=1)
    total = net.add("relu6", "six", (net.add("eltwise-add", "sum", (net.conv("e", both, 8), first)),))
    flat = net.add("flatten", "f", (total,), axis=1)
    net.graph.set_value(Value(flat, ("batch", 8 * 36)))
    weights, bias = net.const("w", net.rng.normal(size=(5, 288))), net.const("b", net.rng.normal(size=5))
    return net.done(net.add("inner-product", "fc", (flat, weights, bias), 5, weight_layout="OI"))


def samples(count: int = 4) -> Array:
    return np.random.default_rng(5).normal(size=(count, 3, 6, 6)).astype(np.float32)


def left_over(graph: Graph) -> list[str]:
    return [str(op.attrs.get("type")) for op in graph.ops if op.kind == "opaque"]


@pytest.mark.parametrize("recipe", ["dpu-cnn", "cpu-cnn", "npu-transformer"])
def test_our_own_models_come_back_with_the_same_plan_and_integers(recipe: str) -> None:
    found = quantize(network(), [{"x": samples()}], recipe=recipe)
    back = absorb(import_model(found.model))
    verify(back, KINDS)
    assert {v.name: v.quant for v in back.quantized()} == {v.name: v.quant for v in found.graph.quantized()}
    names = [value.name for value in back.quantized()]
    expected = Interpreter("integer").session(found.graph, names).run_integers({"x": samples()})
    actual = Interpreter("integer").session(back, names).run_integers({"x": samples()})
    for name in names:
        assert np.array_equal(actual[name], expected[name]), name


@pytest.mark.parametrize("recipe", ["dpu-cnn", "cpu-cnn"])
def test_emitting_what_was_absorbed_changes_nothing(recipe: str) -> None:
    once = absorb(import_model(quantize(network(), [{"x": samples()}], recipe=recipe).model))
    twice = absorb(import_model(to_proto(once)))
    assert print_graph(twice) == print_graph(once)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self.batches = iter([{"x": samples()}])

    def get_next(self) -> Any:
        return next(self.batches, None)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"per_channel": True},
        {"activation_type": QuantType.QInt16, "weight_type": QuantType.QInt8},
        {"extra_options": {"AddQDQPairToWeight": True}},
        {"extra_options": {"DedicatedQDQPair": True, "ActivationSymmetric": True}},
    ],
    ids=lambda options: " ".join(options) or "default",
)
def test_models_of_onnx_runtimes_quantizer(tmp_path: Path, options: dict[str, Any]) -> None:
    save(to_proto(network()), tmp_path / "float.onnx")
    quantize_static(
        tmp_path / "float.onnx", tmp_path / "int8.onnx", _Reader(), quant_format=QuantFormat.QDQ, **options
    )
    imported = import_model(tmp_path / "int8.onnx")
    graph = absorb(imported)
    verify(graph, KINDS)
    assert left_over(graph) == [] and len(list(graph.quantized())) > 8
    (name,) = graph.outputs
    expected = np.array(OnnxExecutor().session(imported, [name]).run({"x": samples()})[name])
    assert np.array_equal(OnnxExecutor().session(graph, [name]).run({"x": samples()})[name], expected)


def pair(body: str, **arrays: Any) -> Graph:
    """A model on x with a scale s and a zero point z of int8."""
    arrays = {"s": np.float32(0.25), "z": np.int8(3), **arrays}
    return import_model(model(body, **arrays))


def test_a_pair_becomes_a_spec_on_the_value_in_front() -> None:
    graph = absorb(
        pair(
            "g (float[4] x) => (y) { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Relu(d) }"
        )
    )
    assert [op.kind for op in graph.ops] == ["relu"] and graph.ops[0].inputs == ("x",)
    assert graph.value("x").quant == QuantSpec(INT8, (0.25,), (3,))


def test_an_output_keeps_its_name() -> None:
    graph = absorb(
        pair(
            "g (float[4] x) => (y) { r = Relu(x) q = QuantizeLinear(r, s, z) y = DequantizeLinear(q, s, z) }"
        )
    )
    assert graph.ops[0].outputs == ("y",) and graph.value("y").quant is not None


def test_a_value_that_somebody_reads_unrounded_stays_real() -> None:
    text = """g (float[4] x) => (y) {
        r = Relu(x) q = QuantizeLinear(r, s, z) d = DequantizeLinear(q, s, z) y = Add(d, r) }"""
    imported = pair(text)
    graph = absorb(imported)
    assert [op.kind for op in graph.ops] == ["relu", "identity", "eltwise-add"]
    assert graph.value("r").quant is None and graph.value("d").quant is not None
    x = random(4) * 3
    expected = np.array(OnnxExecutor().session(imported, ["y"]).run({"x": x})["y"])
    assert np.array_equal(Interpreter().session(graph, ["y"]).run({"x": x})["y"], expected)


@pytest.mark.parametrize("raw", ["", ", r"])
def test_several_outputs_of_one_pair(raw: str) -> None:
    text = f"""g (float[4] x) => (y, v, w{raw}) {{
        r = Relu(x) q = QuantizeLinear(r, s, z)
        y = DequantizeLinear(q, s, z) v = DequantizeLinear(q, s, z) w = DequantizeLinear(q, s, z) }}"""
    imported = pair(text)
    graph = absorb(imported)
    verify(graph, KINDS)
    assert left_over(graph) == [] and graph.outputs == imported.outputs
    x = random(4) * 3
    expected = OnnxExecutor().session(imported, graph.outputs).run({"x": x})
    actual = Interpreter().session(graph, graph.outputs).run({"x": x})
    assert all(np.array_equal(actual[name], expected[name]) for name in graph.outputs)


def test_one_value_under_two_specs() -> None:
    text = """g (float[4] x) => (y) {
        q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)
        p = QuantizeLinear(d, t, z) e = DequantizeLinear(p, t, z)
        y = Relu(e) }"""
    graph = absorb(pair(text, t=np.float32(0.5)))
    assert [op.kind for op in graph.ops] == ["identity", "relu"]
    assert [graph.value(name).quant.scale for name in ("x", "e")] == [(0.25,), (0.5,)]  # type: ignore[union-attr]


def test_a_pair_for_each_reader() -> None:
    text = """g (float[4] x) => (y) {
        q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)
        p = QuantizeLinear(x, s, z) e = DequantizeLinear(p, s, z)
        y = Add(d, e) }"""
    assert [op.kind for op in absorb(pair(text)).ops] == ["eltwise-add"]


def test_different_parameters_on_both_sides_are_no_pair() -> None:
    text = """g (float[4] x) => (y) {
        r = Relu(x) q = QuantizeLinear(r, s, z) d = DequantizeLinear(q, t, z) y = Neg(d) }"""
    graph = absorb(pair(text, t=np.float32(0.5)))
    assert left_over(graph) == list(QDQ)
    assert graph.value("r").quant == QuantSpec(INT8, (0.25,), (3,))  # both sides lie on their grids
    assert graph.value("d").quant == QuantSpec(INT8, (0.5,), (3,))


def test_integers_of_the_caller_stay() -> None:
    text = "g (int8[4] x) => (y) { d = DequantizeLinear(x, s, z) r = Relu(d) y = QuantizeLinear(r, s, z) }"
    graph = absorb(pair(text))
    assert left_over(graph) == list(reversed(QDQ))
    assert graph.value("d").quant == graph.value("r").quant == QuantSpec(INT8, (0.25,), (3,))


def test_parameters_that_are_computed_or_in_blocks_change_nothing() -> None:
    computed = "g (float[4] x, float k) => (y) { q = QuantizeLinear(x, k, z) y = DequantizeLinear(q, k, z) }"
    assert left_over(absorb(pair(computed))) == list(QDQ)
    blocks = """g (float[4,2] x) => (y) {
        w = DequantizeLinear <axis = 0, block_size = 2> (k, s, z) y = MatMul(x, w) }"""
    arrays = {"k": np.ones((2, 2), np.int8), "s": np.ones((1, 2), np.float32), "z": np.zeros((1, 2), np.int8)}
    graph = absorb(import_model(model(blocks, opset=21, ir_version=10, **arrays)))
    assert left_over(graph) == ["DequantizeLinear"] and not list(graph.quantized())


def test_stored_constants_get_their_names_and_operators_their_kinds_back() -> None:
    text = """g (float[1,2,4,4] x) => (y) {
        w_DequantizeLinear_Output = DequantizeLinear <axis = 0> (w_quantized, ws, wz)
        b = DequantizeLinear(b_quantized, bs, bz)
        y = Conv(x, w_DequantizeLinear_Output, b) }"""
    weights, bias = np.arange(-6, 6, dtype=np.int8).reshape(3, 2, 1, 2), np.array([70000, -5, 0], np.int32)
    arrays = {
        "w_quantized": weights, "ws": np.array([0.5, 0.25, 1.0], np.float32), "wz": np.array([0, 1, -1], np.int8),
        "b_quantized": bias, "bs": np.float32([0.5]), "bz": np.int32([0]),
    }  # fmt: skip
    graph = absorb(import_model(model(text, **arrays)))
    (op,) = graph.ops
    assert (op.kind, op.inputs) == ("conv2d", ("x", "w", "b"))
    assert graph.value("w").quant == QuantSpec(INT8, (0.5, 0.25, 1.0), (0, 1, -1), 0)
    assert graph.value("b").quant == QuantSpec(INT32, (0.5,))
    assert np.array_equal(graph.value("b").const, bias * np.float32(0.5))  # type: ignore[arg-type]
    first = (weights - np.array([0, 1, -1]).reshape(3, 1, 1, 1)) * np.array([0.5, 0.25, 1.0]).reshape(
        3, 1, 1, 1
    )
    assert np.array_equal(graph.value("w").const, first)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "form", [INT8, UINT8, INT16, IntFormat(8, narrow=True), IntFormat(6), IntFormat(5, signed=False)], ids=str
)
def test_formats_survive_the_clip_that_narrows_them(form: IntFormat) -> None:
    graph = import_model(model("g (float[N] x) => (y) { y = Mul(x, k) }", k=np.ones(1, np.float32)))
    spec = QuantSpec(form, (0.05000000074505806,), (2,))
    graph.set_value(replace(graph.value("x"), quant=spec))
    back = absorb(import_model(to_proto(graph)))
    assert back.value("x").quant == spec
    assert [op.kind for op in back.ops] == ["eltwise-mul"]


@pytest.mark.parametrize("with_functions", [True, False], ids=["ours", "as the original tool writes"])
@pytest.mark.parametrize("form", [Form.VITIS, Form.CONTRIB, Form.FIX_NEURON], ids=str)
def test_the_forms_of_vitis_ai_come_back_too(form: Form, with_functions: bool) -> None:
    found = quantize(network(), [{"x": samples()}], recipe="dpu-cnn", form=form)
    proto = found.model
    want = run(proto, {"x": samples()})[0]
    if not with_functions:
        del proto.functions[:]
    back = absorb(import_model(proto))
    verify(back, KINDS)
    assert left_over(back) == []
    assert {v.name: v.quant for v in back.quantized()} == {v.name: v.quant for v in found.graph.quantized()}
    np.testing.assert_array_equal(run(to_proto(back, form=form), {"x": samples()})[0], want)


@pytest.mark.parametrize("types", [(BFLOAT16, FLOAT16), (INT32, INT16)], ids=str)
def test_wide_types_come_back(types: tuple[Format, Format]) -> None:
    graph = import_model(model("g (float[N, 3] x) => (y) { y = Mul (x, k) }", k=random(3)))
    for name, form in zip(("x", "k"), types, strict=True):
        graph.set_value(replace(graph.value(name), quant=QuantSpec(form)))
    back = absorb(import_model(to_proto(graph, form=Form.VITIS)))
    assert [back.value(name).quant for name in ("x", "k")] == [QuantSpec(form) for form in types]

"""Each operator on integers against QDQ without integer kernels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from quantforge.frontends.onnx import import_model, to_proto
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.onnx.qoperator import planned
from quantforge.graph import Array, Graph, QuantSpec
from quantforge.numerics.formats import INT8, INT32, UINT8, Format

from .text_models import model, random

X = random(2, 4, 8, 8) * 2
FINE, COARSE = 2.0**-5, 2.0**-4


def quantized(text: str, specs: dict[str, QuantSpec], **arrays: Array) -> Graph:
    graph = import_model(model(f"g (float[N, 4, 8, 8] x) => (y) {{ {text} }}", **arrays))
    for name, spec in specs.items():
        graph.set_value(replace(graph.value(name), quant=spec))
    return graph


def both(graph: Graph) -> tuple[list[str], Array, Array]:
    """Operator types on integers, their answer, and that of QDQ without integer kernels."""
    proto = to_proto(graph, form=Form.QOPERATOR)
    onnx.checker.check_model(proto, full_check=True)
    return [node.op_type for node in proto.graph.node], answer(proto), answer(to_proto(graph))


def answer(proto: Any) -> Array:
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": X})[0])


def spec(form: Format = INT8, scale: float = FINE, zero: int = 0) -> QuantSpec:
    return QuantSpec(form, (scale,), (zero,))


UNARY = {
    "y = Sigmoid (x)": ("QLinearSigmoid", 2.0**-7),
    "y = LeakyRelu <alpha = 0.1> (x)": ("QLinearLeakyRelu", FINE),
    "y = Softmax <axis = 3> (x)": ("QLinearSoftmax", 2.0**-7),
    "y = ReduceMean <axes = [2, 3]> (x)": ("QLinearGlobalAveragePool", FINE / 4),
    "y = GlobalAveragePool (x)": ("QLinearGlobalAveragePool", FINE / 4),
    "y = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (x)": ("QLinearAveragePool", FINE),
    "y = Add (x, x)": ("QLinearAdd", COARSE),
    "y = Mul (x, k)": ("QLinearMul", COARSE),
    "y = Concat <axis = 1> (x, x)": ("QLinearConcat", COARSE),
}


@pytest.mark.parametrize("form", [INT8, UINT8], ids=str)
@pytest.mark.parametrize("text", UNARY)
def test_operators_of_onnx_runtime(text: str, form: Format) -> None:
    kind, scale = UNARY[text]
    zero = 128 if form == UINT8 else 0
    specs = {"x": spec(form, zero=zero), "y": spec(form, scale, zero)}
    if "k)" in text:
        specs["k"] = spec(form, zero=zero)
    kinds, found, want = both(quantized(text, specs, **({"k": random(4, 1, 1)} if "k" in specs else {})))
    assert kinds == ["QuantizeLinear", kind, "DequantizeLinear"]
    assert np.abs(found - want).max() <= scale, "one step, at ties"
    assert (found == want).mean() > 0.99


def test_a_mean_without_its_axes() -> None:
    specs = {"x": spec(), "y": spec(scale=FINE / 4)}
    kinds, found, want = both(quantized("y = ReduceMean <axes = [2, 3], keepdims = 0> (x)", specs))
    assert kinds == ["QuantizeLinear", "QLinearGlobalAveragePool", "Squeeze", "DequantizeLinear"]
    assert found.shape == (2, 4) and np.abs(found - want).max() <= FINE / 4


MOVES = [
    "y = MaxPool <kernel_shape = [2, 2], pads = [1, 1, 0, 0]> (x)",
    "s = Constant <value_ints = [0, -1]> () y = Reshape (x, s)",
    "y = Transpose <perm = [0, 2, 3, 1]> (x)",
    "p = Constant <value_ints = [0, 0, 1, 1, 0, 0, 2, 2]> () y = Pad (x, p)",
    "n = Constant <value_floats = [1.0, 1.0, 2.0, 2.0]> () y = Resize <mode = \"nearest\"> (x, , n)",
    "y = Relu (x)",
    "i = Constant <value_ints = [2, 0]> () y = Gather <axis = 1> (x, i)",
    "low = Constant <value_float = -0.5> () y = Clip (x, low)",
]  # fmt: skip


@pytest.mark.parametrize("zero", [0, -5])
@pytest.mark.parametrize("text", MOVES)
def test_what_moves_data_takes_integers(text: str, zero: int) -> None:
    kinds, found, want = both(quantized(text, {"x": spec(zero=zero), "y": spec(zero=zero)}))
    assert len(kinds) == 3 and kinds[0] == "QuantizeLinear" and kinds[-1] == "DequantizeLinear"
    np.testing.assert_array_equal(found, want)


WEIGHTS = {"w": random(4, 4, 3, 3), "b": random(4)}
CONV = "c = Conv <pads = [1, 1, 1, 1]> (x, w, b) "


@pytest.mark.parametrize("activation", ["Relu (c)", "LeakyRelu (c)", "Clip (c, low, high)"])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("form", "zero"), [(INT8, 0), (UINT8, 0), (UINT8, 128), (INT8, -128)], ids=str)
def test_convolutions_with_an_activation(activation: str, per_channel: bool, form: Format, zero: int) -> None:
    scales = (0.03125, 0.0625, 0.03125, 0.015625) if per_channel else (0.03125,)
    product = tuple(FINE * scale for scale in scales)
    middle = 128 if form == UINT8 else 0
    specs = {
        "x": spec(form, zero=middle),
        "w": QuantSpec(INT8, scales, (0,) * len(scales), 0 if per_channel else None),
        "b": QuantSpec(INT32, product, (0,) * len(scales), 0 if per_channel else None),
        "y": spec(form, COARSE, zero),
    }
    ends = {"low": np.float32(0.25), "high": np.float32(2.3)} if "low" in activation else {}
    kinds, found, want = both(quantized(f"{CONV} y = {activation}", specs, **WEIGHTS, **ends))
    if "Leaky" in activation:
        assert kinds == ["Conv", "LeakyRelu"] or "QLinearConv" not in kinds
    else:
        clipped = not ("Relu" in activation and zero in (0, -128) and zero != middle)
        assert kinds == ["QuantizeLinear", "QLinearConv", *(["Clip"] if clipped else []), "DequantizeLinear"]
    np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("form", [INT8, UINT8], ids=str)
def test_weights_become_int8_and_biases_int32(form: Format) -> None:
    zero = 128 if form == UINT8 else 0
    specs = {
        "x": spec(UINT8, zero=128),
        "w": spec(form, zero=zero),
        "b": spec(INT8, 0.25),
        "c": spec(UINT8, COARSE, 3),
    }
    graph = quantized(f"{CONV} y = Relu (c)", specs | {"y": spec(UINT8, COARSE, 3)}, **WEIGHTS)
    proto = to_proto(graph, form=Form.QOPERATOR)
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    assert (stored["w_quantized"].dtype, stored["w_zero_point"].dtype) == (np.int8, np.int8)
    steps = np.rint(np.clip(np.rint(WEIGHTS["b"] / 0.25), -128, 127) * 0.25 / FINE / FINE)
    np.testing.assert_array_equal(stored["b_quantized"], steps.astype(np.int32))
    _, found, want = both(graph)
    np.testing.assert_array_equal(found, want)


def test_a_bias_that_does_not_fit_stays_between_borders() -> None:
    fine = 2.0**-30
    specs = {"x": spec(), "w": spec(scale=fine), "c": spec(), "y": spec()}
    graph = quantized(f"{CONV} y = Relu (c)", specs, **WEIGHTS)
    assert set(planned(graph)) == {op.name for op in graph.ops if op.kind == "relu"}


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_linear_layer(transposed: int, per_channel: bool) -> None:
    scales = (0.03125, 0.0625, 0.125) if per_channel else (0.03125,)
    axis = (0 if transposed else 1) if per_channel else None
    specs = {
        "x": spec(),
        "f": spec(),
        "w": QuantSpec(INT8, scales, (0,) * len(scales), axis),
        "y": spec(scale=0.5),
    }
    weights = random(3, 256) if transposed else random(256, 3)
    text = f"f = Flatten (x) y = Gemm <transB = {transposed}> (f, w, b)"
    kinds, found, want = both(quantized(text, specs, w=weights, b=random(3)))
    assert kinds == ["QuantizeLinear", "Flatten", "QGemm", "DequantizeLinear"]
    assert np.abs(found - want).max() <= 0.5 and (found == want).mean() > 0.9, "the bias is rounded to a step"


@pytest.mark.parametrize("second", ["x", "w"])
def test_matrix_products(second: str) -> None:
    specs = {"x": spec(), "w": spec(), "y": spec(scale=0.125)}
    if second == "x":
        del specs["w"]
    graph = quantized(f"y = MatMul (x, {second})", specs, **({"w": random(8, 5)} if second == "w" else {}))
    kinds, found, want = both(graph)
    assert kinds == ["QuantizeLinear", "QLinearMatMul", "DequantizeLinear"]
    np.testing.assert_array_equal(found, want)

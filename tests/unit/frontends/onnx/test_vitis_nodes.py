"""Nodes, names and attributes of the forms of Vitis AI; what they compute, in ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from quantforge.diagnostics import UnsupportedError
from quantforge.frontends.onnx import import_model, to_proto
from quantforge.frontends.onnx.forms import Form
from quantforge.graph import Graph, QuantSpec
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import BFLOAT16, FLOAT16, INT8, INT16, INT32, UINT8, IntFormat
from quantforge.numerics.rounding import Rounding

from .text_models import model, random, run

X = (
    np.concatenate([random(400) * 4, np.arange(-40, 40) * 0.25, [1e6, -1e6]])
    .astype(np.float32)
    .reshape(-1, 1)
)
K = random(3) * 3
INTEGERS = {
    "int8": INT8,
    "uint8": UINT8,
    "int16": INT16,
    "int7": IntFormat(7),
    "int8n": IntFormat(8, narrow=True),
}


def graph_with(x: QuantSpec, k: QuantSpec) -> Graph:
    graph = import_model(model("g (float[N, 1] x) => (y) { [m] m = Mul(x, k) [n] y = Neg(m) }", k=K))
    for name, spec in (("x", x), ("k", k), ("y", x)):
        graph.set_value(replace(graph.value(name), quant=spec))
    return graph


def checked(graph: Graph, form: Form) -> Any:
    """The model in `form`, which computes exactly the specs."""
    proto = to_proto(graph, form=form)
    onnx.checker.check_model(proto, full_check=True)
    x, k, y = (graph.value(name).quant for name in ("x", "k", "y"))
    assert x is not None and k is not None and y is not None
    product = fake_quantize_value(X, x) * fake_quantize_value(K, k)
    np.testing.assert_array_equal(run(proto, {"x": X})[0], fake_quantize_value(-product, y))
    return proto


def power(form: Any, position: int = 5, zero: int = 0) -> QuantSpec:
    return QuantSpec(form, (2.0**-position,), (zero,))


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("form", [Form.VITIS, Form.FIX_NEURON], ids=str)
def test_integers_compute_exactly_the_spec(name: str, form: Form) -> None:
    checked(graph_with(power(INTEGERS[name], zero=3), power(INTEGERS[name], 4)), form)


@pytest.mark.parametrize("zero", [0, 100, 128])
def test_the_contrib_operators_are_signed(zero: int) -> None:
    proto = checked(graph_with(power(UINT8, zero=zero), power(UINT8, 4, 128)), Form.CONTRIB)
    params = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    assert params["x_zero_point"].dtype == np.int8
    assert int(params["x_zero_point"]) == zero - 128


@pytest.mark.parametrize(
    "form", [FLOAT16, BFLOAT16, INT32, IntFormat(32, signed=False), IntFormat(20)], ids=str
)
def test_wide_formats_are_vitis_operators(form: Any) -> None:
    scaled = isinstance(form, IntFormat)
    x = power(form, 12) if scaled else QuantSpec(form)
    proto = checked(graph_with(x, power(INT8)), Form.VITIS)
    (entry,) = (entry for entry in proto.graph.initializer if entry.name == "x_zero_point")
    dtype = str(np.dtype(helper.tensor_dtype_to_np_dtype(entry.data_type)).name)
    assert dtype == (form.storage.name if scaled else form.name)
    assert {entry.domain: entry.version for entry in proto.opset_import} == {"": 17, "com.vai.quantize": 1}


def test_names_and_attributes_of_the_pair() -> None:
    proto = checked(graph_with(power(INT8), power(INT8, 4)), Form.VITIS)
    nodes = {node.name: node for node in proto.graph.node}
    assert list(nodes) == [
        *("x_QuantizeLinear", "x_DequantizeLinear", "k_QuantizeLinear", "k_DequantizeLinear", "m", "n"),
        *("y_QuantizeLinear", "y_DequantizeLinear"),
    ]
    first, second = nodes["k_QuantizeLinear"], nodes["k_DequantizeLinear"]
    assert (first.op_type, first.domain) == ("VitisQuantizeLinear", "com.vai.quantize")
    assert (second.op_type, list(second.output)) == ("VitisDequantizeLinear", ["k_DequantizeLinear_Output"])
    assert list(first.input) == ["k", "k_scale", "k_zero_point"]
    assert [(entry.name, entry.i) for entry in first.attribute] == [("axis", 1)]
    assert list(nodes["n"].output) == ["y_QuantizeLinear_Input"]
    (weights,) = (numpy_helper.to_array(t) for t in proto.graph.initializer if t.name == "k")
    np.testing.assert_array_equal(weights, K, "constants stay as they were")


def test_fix_neuron_says_its_position_twice() -> None:
    proto = checked(graph_with(power(INT8, 5), power(IntFormat(7), -2)), Form.FIX_NEURON)
    nodes = {node.name: node for node in proto.graph.node}
    assert list(nodes) == ["x_DequantizeLinear", "k_DequantizeLinear", "m", "n", "y_DequantizeLinear"]
    params = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for name, (bits, position) in {"x": ("8", "5"), "k": ("7", "-2"), "y": ("8", "5")}.items():
        node = nodes[f"{name}_DequantizeLinear"]
        assert (node.op_type, node.domain) == ("FixNeuron", "ai.onnx.contrib")
        said = {entry.name: entry.s.decode() for entry in node.attribute}
        assert said == {"bit_width": bits, "pos": position}
        assert params[f"{name}_scale"] == 2.0 ** -int(position)
    assert {entry.domain for entry in proto.opset_import} == {"", "ai.onnx.contrib"}


def test_scales_along_an_axis() -> None:
    graph = graph_with(power(INT8), QuantSpec(INT8, (0.5, 0.25, 0.1), (0, 0, 0), 0))
    proto = checked(graph, Form.VITIS)
    (node,) = (node for node in proto.graph.node if node.name == "k_QuantizeLinear")
    assert node.attribute[0].i == 0


def test_constants_keep_the_rounding_of_their_spec() -> None:
    spec = replace(power(INT8, 0), rounding=Rounding.HALF_UP)
    graph = graph_with(power(INT8), spec)
    graph.set_value(replace(graph.value("k"), const=np.array([0.5, 1.5, 2.5], np.float32)))
    proto = to_proto(graph, form=Form.VITIS)
    (weights,) = (numpy_helper.to_array(t) for t in proto.graph.initializer if t.name == "k")
    assert weights.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("form", "spec", "found"),
    [
        (Form.FIX_NEURON, QuantSpec(INT8, (0.1,)), "int8, scale 0.1"),
        (Form.FIX_NEURON, QuantSpec(INT8, (0.5, 0.25, 0.5), (0, 0, 0), 0), "int8, 3 scales"),
        (Form.FIX_NEURON, QuantSpec(FLOAT16), "float16, scale 1"),
        (Form.CONTRIB, power(INT16), "int16, scale 0.03125"),
    ],
)
def test_specs_without_a_position_are_refused(form: Form, spec: QuantSpec, found: str) -> None:
    with pytest.raises(UnsupportedError, match=f"Q0610 tensor 'k': found {found}"):
        to_proto(graph_with(power(INT8), spec), form=form)

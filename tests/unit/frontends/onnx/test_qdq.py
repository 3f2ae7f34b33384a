"""Q/DQ nodes: formats, rounding, refusals. Names and places are in test_build's golden file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from quantforge.diagnostics import InternalError, UnsupportedError
from quantforge.frontends.onnx import import_model, to_proto
from quantforge.frontends.onnx.qdq import QdqNames, activation_nodes, has_integer_form
from quantforge.graph import Graph, QuantSpec, Value
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import INT8, INT16, INT32, UINT8, UINT16, Format, IntFormat
from quantforge.numerics.rounding import Rounding

from .text_models import model, random, run

X = np.concatenate([random(1000) * 4, np.arange(-40, 40) * 0.25]).astype(np.float32)


def graph_with(spec: QuantSpec, name: str = "x", **arrays: Any) -> Graph:
    proto = model("g (float[N] x) => (y) { y = Mul(x, k) }", k=np.ones(1, np.float32), **arrays)
    graph = import_model(proto)
    graph.set_value(replace(graph.value(name), quant=spec))
    return graph


@pytest.mark.parametrize(
    ("form", "zero"),
    [
        *((INT8, 0), (INT8, -5), (UINT8, 0), (UINT8, 128), (INT16, 0), (UINT16, 1000)),
        *(
            (IntFormat(8, narrow=True), 0),
            (IntFormat(4), 0),
            (IntFormat(6, signed=False), 9),
            (IntFormat(12), 3),
        ),
    ],
    ids=str,
)
def test_onnx_runtime_computes_exactly_the_spec(form: Format, zero: int) -> None:
    spec = QuantSpec(form, (0.05,), (zero,))
    proto = to_proto(graph_with(spec))
    onnx.checker.check_model(proto, full_check=True)
    assert np.array_equal(run(proto, {"x": X})[0], fake_quantize_value(X, spec))


def test_ties_go_to_even() -> None:
    proto = to_proto(graph_with(QuantSpec(INT8, (1.0,))))
    ties = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)
    assert run(proto, {"x": ties})[0].tolist() == [-2.0, -2.0, 0.0, 0.0, 2.0, 2.0]


def test_wide_integers_raise_the_opset() -> None:
    assert to_proto(graph_with(QuantSpec(INT16, (0.1,)))).opset_import[0].version == 21
    assert to_proto(graph_with(QuantSpec(INT8, (0.1,)))).opset_import[0].version == 17


@pytest.mark.parametrize("rounding", [Rounding.HALF_UP, Rounding.HALF_EVEN])
def test_weights_use_the_rounding_of_their_spec(rounding: Rounding) -> None:
    graph = import_model(
        model("g (float[1,3] x) => (y) { y = MatMul(x, w) }", w=np.array([[0.5], [1.5], [2.5]], np.float32))
    )
    graph.set_value(replace(graph.value("w"), quant=QuantSpec(INT8, (1.0,), rounding=rounding)))
    stored = {t.name: numpy_helper.to_array(t) for t in to_proto(graph).graph.initializer}["w_quantized"]
    assert stored.dtype == np.int8
    assert stored.ravel().tolist() == ([1, 2, 3] if rounding is Rounding.HALF_UP else [0, 2, 2])


@pytest.mark.parametrize(
    ("spec", "code", "found"),
    [
        (QuantSpec(INT8, (0.1,), rounding=Rounding.HALF_UP), "Q0604", "activation rounding half-up"),
        (QuantSpec(IntFormat(4), (0.1, 0.2), (0, 0), 0), "Q0602", "int4 activations per axis"),
    ],
)
def test_what_onnx_cannot_store_is_refused(spec: QuantSpec, code: str, found: str) -> None:
    with pytest.raises(UnsupportedError, match=f"{code} tensor 'x': found {found}"):
        to_proto(graph_with(spec))


def test_other_dtypes_are_refused() -> None:
    graph = import_model(model("g (float16[2] x) => (y) { y = Relu(x) }"))
    graph.set_value(replace(graph.value("x"), quant=QuantSpec(INT8, (0.1,))))
    with pytest.raises(UnsupportedError, match=r"Q0603 tensor 'x': found quantization of a float16 tensor"):
        to_proto(graph)


def test_a_value_without_a_spec_is_a_bug() -> None:
    with pytest.raises(InternalError, match=r"Q0606 x: found a value without a spec"):
        activation_nodes(Value("x"), QdqNames("x", "x"), lambda stem, array: stem)


@pytest.mark.parametrize(("factor", "integers"), [(1.0, True), (3.0, False)])
def test_a_wide_bias_is_stored_as_integers_only_at_the_scale_of_its_sum(
    factor: float, integers: bool
) -> None:
    proto = model(
        "g (float[1,3] x) => (y) { y = Gemm(x, w, b) }",
        w=np.array([[0.5], [1.5], [2.5]], np.float32), b=np.array([0.7], np.float32),
    )  # fmt: skip
    graph = import_model(proto)
    scales = {"x": 0.25, "w": 0.5, "b": 0.125 * factor}
    for name, form in (("x", INT8), ("w", INT8), ("b", INT32)):
        graph.set_value(replace(graph.value(name), quant=QuantSpec(form, (scales[name],))))
    assert has_integer_form(graph, graph.value("b")) is integers and has_integer_form(graph, graph.value("w"))
    stored = {t.name: numpy_helper.to_array(t) for t in to_proto(graph).graph.initializer}
    assert ("b_quantized" in stored) is integers
    if not integers:
        assert stored["b"].tolist() == [0.75]
    x = np.array([[0.5, 1.0, -0.25]], np.float32)
    bias = fake_quantize_value(np.array([0.7], np.float32), QuantSpec(INT32, (scales["b"],)))
    want = np.array([[0.25 + 1.5 - 0.625]]) + bias  # weights at half steps: 0.5, 1.5, 2.5
    assert run(to_proto(graph), {"x": x})[0].tolist() == want.tolist()

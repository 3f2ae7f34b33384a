"""Nodes whose inputs have become constant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.frontends.onnx import import_model, to_proto
from quantforge.frontends.onnx.relook import look_up_again
from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import INT8

from .text_models import model, run

GEMM = "g (float[2,3] x, float[4,3] w, float[1,4] b) => (y) { y = Gemm <transB = 1, alpha = %s> (x, w, b) }"
WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3) / 4
BIAS = np.arange(4, dtype=np.float32).reshape(1, 4) / 8


def with_constants(graph: Graph, spec: QuantSpec | None = None) -> Graph:
    for name, data in (("w", WEIGHTS), ("b", BIAS)):
        graph.set_value(replace(graph.value(name), const=data, quant=spec))
    graph.inputs = ("x",)
    return graph


def test_an_opaque_node_gets_its_kind_and_can_still_be_written() -> None:
    graph = with_constants(import_model(model(GEMM % "0.5")))
    assert graph.ops[0].kind == "opaque"
    op = look_up_again(graph, graph.ops[0])
    assert op.kind == "inner-product" and graph.ops == (op,)
    x = np.ones((2, 3), np.float32)
    assert np.allclose(run(to_proto(graph), {"x": x})[0], x @ WEIGHTS.T * 0.5 + BIAS)


@pytest.mark.parametrize(("alpha", "kind"), [("1.0", "inner-product"), ("0.5", "opaque")])
def test_quantized_parameters_are_reshaped_and_never_recomputed(alpha: str, kind: str) -> None:
    spec = QuantSpec.power_of_two(INT8, 3)
    graph = with_constants(import_model(model(GEMM % alpha)), spec)
    op = look_up_again(graph, graph.ops[0])
    assert op.kind == kind
    if kind != "opaque":
        bias = graph.value(op.inputs[2])
        assert bias.shape == (4,) and bias.quant == spec


def test_a_node_that_means_the_same_stays() -> None:
    graph = import_model(model("g (float[2] x) => (y) { y = Relu(x) }"))
    assert look_up_again(graph, graph.ops[0]) is graph.ops[0]

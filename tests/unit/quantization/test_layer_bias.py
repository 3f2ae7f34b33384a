from dataclasses import replace

import numpy as np
import pytest

from quantforge.frontends.onnx import import_model
from quantforge.graph import Graph, QuantSpec
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import INT8
from quantforge.quantization.layer_bias import layer_biases, move_bias
from quantforge.quantization.recipe import CPU_CNN, CPU_TRANSFORMER
from tests.networks import Net
from tests.unit.frontends.onnx.text_models import model, random

SHIFT = np.array([0.5, -1.0, 0.0, 0.25, 2.0])


def products(text: str) -> Graph:
    head = "agraph (float[N,T,6] x) => (float[N,T,5] y)"
    return import_model(model(f"{head} {{ {text} }}", w=random(6, 5), v=random(5, 5), b=random(5)))


def test_where_biases_are() -> None:
    net = Net()
    graph = net.done(net.conv("c", "x", 4))
    (bias,) = layer_biases(graph).values()
    assert (bias.layer, bias.holder, bias.value(graph), bias.result(graph)) == ("c", "c", "c.b", "c.out")
    graph = products("p = MatMul (x, w) q = Add (b, p) y = MatMul (q, v)")
    (bias,) = layer_biases(graph).values()
    assert (graph.op(bias.layer).outputs[0], bias.value(graph), bias.result(graph)) == ("p", "b", "q")


def test_the_constant_of_a_sum_moves_and_stays_in_float() -> None:
    graph = products("p = MatMul (x, w) y = Add (p, b)")
    before = graph.value("b").const
    (bias,) = layer_biases(graph).values()
    assert not move_bias(graph, bias, SHIFT, CPU_TRANSFORMER).any()
    np.testing.assert_allclose(graph.value("b").const, before - SHIFT, rtol=1e-6)
    assert graph.value("b").quant is None and graph.value("b").const.dtype == np.float32


def test_a_number_for_all_channels_becomes_one_for_each() -> None:
    graph = products("p = MatMul (x, w) y = Add (p, b)")
    graph.set_value(replace(graph.value("b"), const=np.float32([3.0]), shape=(1,)))
    move_bias(graph, next(iter(layer_biases(graph).values())), SHIFT, CPU_TRANSFORMER)
    np.testing.assert_allclose(graph.value("b").const, 3.0 - SHIFT)
    assert graph.value("b").shape == (5,)


def test_a_constant_that_others_read_is_copied() -> None:
    graph = products("p = MatMul (x, w) q = Add (p, b) r = MatMul (q, v) y = Add (r, b)")
    before = graph.value("b").const
    first, second = layer_biases(graph).values()
    move_bias(graph, first, SHIFT, CPU_TRANSFORMER)
    assert graph.value("b").const is before
    np.testing.assert_allclose(graph.value(first.value(graph)).const, before - SHIFT, rtol=1e-6)
    assert second.value(graph) == "b"


@pytest.mark.parametrize("scale", [0.25, 0.001])
def test_a_constant_with_a_spec_keeps_it_and_says_what_is_left(scale: float) -> None:
    graph = products("p = MatMul (x, w) y = Add (p, b)")
    spec = QuantSpec(INT8, (scale,))
    graph.set_value(replace(graph.value("b"), quant=spec))
    wanted = graph.value("b").const - SHIFT
    left = move_bias(graph, next(iter(layer_biases(graph).values())), SHIFT, CPU_CNN)
    assert graph.value("b").quant == spec
    np.testing.assert_allclose(left, fake_quantize_value(wanted, spec) - wanted, atol=1e-6)
    assert left.any()

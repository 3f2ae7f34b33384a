from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.compiler.lower import lower
from quantforge.graph import Array, Graph, QuantSpec, Value
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.ops.interpreter import Interpreter
from tests import xir_float
from tests.networks import Net


def small() -> Net:
    """Convolution, depthwise, batch normalization, join, pooling, sum, flattened image, matrix product."""
    net = Net()
    first = net.add("relu", "r", (net.conv("c", "x", 8),))
    second = net.batchnorm("n", net.depthwise("d", first))
    both = net.add("concat", "cat", (first, second), 16, axis=1)
    total = net.add("eltwise-add", "sum", (both, both))
    flat = net.add("flatten", "f", (total,), axis=1)
    net.graph.set_value(Value(flat, ("batch", 16 * 36)))
    weights, bias = net.const("w", net.rng.normal(size=(5, 576))), net.const("b", net.rng.normal(size=5))
    logits = net.add("inner-product", "fc", (flat, weights, bias), 5, weight_layout="OI")
    net.add("softmax", "p", (logits,), axis=1)
    return net


def quantized(graph: Graph, rounding: Rounding) -> Graph:
    """int8 on every value but the results of fused operators."""
    graph = graph.copy()
    for value in graph.values:
        fused = any(op.kind == "relu" for op in graph.consumers(value.name))
        if not fused:
            spec = QuantSpec.power_of_two(INT8, 4 if value.is_const else 3, rounding)
            graph.set_value(replace(value, quant=spec))
    return graph


def feeds_for(graph: Graph, batch: int = 1, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    shapes = {name: graph.value(name).shape or () for name in graph.inputs}
    return {
        name: rng.standard_normal([d if isinstance(d, int) else batch for d in shape]).astype(np.float32)
        for name, shape in shapes.items()
    }


def check(graph: Graph, batch: int = 1, tolerance: float = 1e-5) -> None:
    """Every value of the graph is what the xmodel computes for it."""
    model, feeds = lower(graph, batch=batch), feeds_for(graph, batch)
    names = [value.name for value in graph.values if not value.is_const or value.name in graph.outputs]
    expected = Interpreter().session(graph, names).run(feeds)
    made = xir_float.run(model, xir_float.in_xir_order(model, feeds))
    actual = xir_float.values(model, made, {name: array.shape for name, array in expected.items()})
    assert set(graph.outputs) <= set(actual)
    for name, array in actual.items():
        np.testing.assert_allclose(
            array, expected[name], atol=tolerance * max(1.0, np.abs(expected[name]).max())
        )


@pytest.mark.parametrize("batch", [1, 3])
def test_every_value_is_what_the_graph_computes(batch: int) -> None:
    check(small().done("p.out"), batch)


@pytest.mark.parametrize("rounding", [Rounding.HALF_EVEN, Rounding.HALF_UP, Rounding.HALF_AWAY])
def test_fixes_round_as_the_specs_say(rounding: Rounding) -> None:
    graph = quantized(small().done("p.out"), rounding)
    check(graph, tolerance=0.0)  # accumulators fit float32, so the steps are exact


def test_a_fix_stands_behind_each_quantized_value_and_constant() -> None:
    model = lower(quantized(small().done("fc.out"), Rounding.HALF_UP))
    fix = model.ops["r.out_fix"]
    assert fix.kind == "fix" and fix.args["input"] == ("r.out",)
    assert (fix.get("fix_point"), fix.get("bit_width"), fix.get("if_signed"), fix.get("round_mode")) == (
        3, 8, True, "DPU_ROUND",
    )  # fmt: skip
    assert model.ops["c.w_fix"].get("fix_point") == 4 and model.ops["c.w"].kind == "const"
    assert model.ops["r.out"].args["input"] == ("c.out",)  # nothing between a convolution and its activation


def test_activations_are_nhwc_and_weights_ohwi() -> None:
    model = lower(small().done("p.out"))
    assert model.ops["x"].tensor.shape == (1, 6, 6, 3)
    assert model.ops["c.w"].tensor.shape == (8, 3, 3, 3)
    assert model.ops["d.w"].tensor.shape == (1, 3, 3, 8)
    assert model.ops["cat.out"].get("axis") == 3
    assert model.ops["fc.out"].kind == "matmul" and model.ops["fc.out"].get("transpose_b") is True


def test_a_flattened_image_is_not_transposed() -> None:
    model = lower(small().done("p.out"))
    assert not [op for op in model.ops.values() if op.kind == "transpose"]


def test_operators_know_where_they_come_from_and_what_the_caller_gets() -> None:
    model = lower(small().done("p.out", "sum.out"))
    assert model.attrs["return_ops"].value == ("p.out", "sum.out")
    assert model.ops["c.out"].get("origin") == "c"
    assert model.ops["c.w"].get("origin") == "c"
    assert list(model.root.ops) == list(model.ops) and not model.root.children
    assert set(model.attrs["quantforge_orders"].value["sum.out"]) == {0, 1, 2, 3}


def test_what_no_output_needs_is_left_out() -> None:
    net = small()
    model = lower(net.done("r.out"))
    assert {op.kind for op in model.ops.values()} == {"data", "const", "conv2d", "relu"}


def test_an_input_that_is_an_output_and_a_constant_output() -> None:
    net = Net()
    net.const("k", np.arange(3.0))
    check(net.done("x", "k"))

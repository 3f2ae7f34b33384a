from dataclasses import replace

import numpy as np
import pytest

from quantforge.frontends.onnx import import_model
from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import INT8, IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.bias_correction import correct_biases
from quantforge.quantization.placement import place
from quantforge.quantization.places import SpecGroup
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN, Recipe, TensorRule
from quantforge.quantization.solve import solve
from tests.networks import Net
from tests.unit.frontends.onnx.text_models import model, random


def network() -> Graph:
    net = Net()
    first = net.add("relu", "r1", (net.conv("c1", "x", 4),))
    total = net.add("eltwise-add", "a", (net.add("relu", "r2", (net.depthwise("d", first),)), first))
    return net.done(net.conv("c2", total, 2))


def coarse(graph: Graph, recipe: Recipe) -> Graph:
    """Specs so coarse that means shift visibly."""
    return solve(graph, place(graph, recipe), recipe, lambda group, rule: QuantSpec.power_of_two(INT8, 1))


def feeds(batch: int = 32) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(3).normal(1.0, 1.0, size=(batch, 3, 6, 6)).astype(np.float32)}


def mean_error(base: Graph, quantized: Graph, name: str) -> np.ndarray:
    runs = [Interpreter().session(g, [name]).run(feeds())[name].copy() for g in (base, quantized)]
    return np.abs((runs[1] - runs[0])[:, :, 1:-1, 1:-1].mean(axis=(0, 2, 3)))


@pytest.mark.parametrize("recipe", [DPU_CNN, CPU_CNN], ids=lambda r: r.name)
def test_takes_the_mean_error_out_of_the_outputs(recipe: Recipe):
    base = network()
    quantized = coarse(base, recipe)
    names = [value.name for value in quantized.quantized() if not value.is_const]
    session = Interpreter().session(base, names)
    corrected, notes = correct_biases(quantized, session, [feeds()], recipe)
    assert {note.op for note in notes} == {"c1", "c2"}
    before, after = (mean_error(base, graph, "c1.out") for graph in (quantized, corrected))
    assert after.mean() < before.mean()
    assert quantized.value("c1.b").const is base.value("c1.b").const


def test_a_matrix_of_four_axes_keeps_its_bias():
    """Its channels are the last axis, of which the statistics say nothing."""
    net = Net()
    weights, bias = net.const("l.w", net.rng.normal(size=(5, 6))), net.const("l.b", net.rng.normal(size=5))
    net.add("inner-product", "l", ("x", weights, bias), weight_layout="OI")
    base = net.done(net.add("relu", "r", ("l.out",)))
    quantized = coarse(base, DPU_CNN)
    names = [value.name for value in quantized.quantized() if not value.is_const]
    corrected, notes = correct_biases(quantized, Interpreter().session(base, names), [feeds()], DPU_CNN)
    assert notes == ()
    np.testing.assert_array_equal(corrected.value("l.b").const, base.value("l.b").const)


@pytest.mark.parametrize("units", [True, False])
def test_a_bias_behind_a_product_is_moved(units: bool):
    """The sum's constant takes what the product is off; with units it is in float, else it has a spec of its own."""
    text = "agraph (float[N,T,8] x) => (float[N,T,6] y) { p = MatMul (x, w) q = Add (p, b) y = Relu (q) }"
    base = import_model(model(text, w=random(8, 6), b=random(6)))
    recipe = replace(CPU_CNN, placement=replace(CPU_CNN.placement, units=units))
    quantized = solve(base, place(base, recipe), recipe, lambda group, rule: QuantSpec.power_of_two(INT8, 1))
    batch = {"x": random(16, 9, 8, seed=4) + np.float32(0.7)}
    corrected, notes = correct_biases(quantized, Interpreter().session(base, ["x", "y"]), [batch], recipe)
    assert len(notes) == 1 and (corrected.value("b").quant is None) is units

    def error(graph: Graph) -> float:
        runs = [Interpreter().session(each, ["q"]).run(batch)["q"].copy() for each in (base, graph)]
        return float(np.abs((runs[1] - runs[0]).mean(axis=(0, 1))).mean())

    assert error(corrected) < (0.3 if units else 0.8) * error(quantized)


@pytest.mark.parametrize("rounding", [Rounding.HALF_UP, Rounding.HALF_AWAY, Rounding.HALF_EVEN], ids=str)
def test_a_stream_of_sums_keeps_its_mean(rounding: Rounding):
    """Each sum drops a bit: half up would add a quarter of a step every time, 1.5 steps in all."""
    net, layers, step = Net(), 6, 0.25
    stream = net.add("relu", "r", (net.conv("first", "x", 4),))
    for index in range(layers):
        inner = net.conv(f"c{index}", stream, 4)
        weights = net.graph.value(f"c{index}.w")
        net.graph.set_value(replace(weights, const=weights.const * np.float32(0.02)))
        stream = net.add("eltwise-add", f"a{index}", (inner, stream))
    base = net.done(stream)

    def spec(group: SpecGroup, rule: TensorRule) -> QuantSpec:
        return QuantSpec(IntFormat(16), (step / 2 if group.values[0][0] == "c" else step,), rounding=rounding)

    quantized = solve(base, place(base, DPU_CNN), DPU_CNN, spec)
    names = [value.name for value in quantized.quantized() if not value.is_const]
    corrected, _ = correct_biases(quantized, Interpreter().session(base, names), [feeds()], DPU_CNN)
    exact, found = (Interpreter().session(g, [stream]).run(feeds())[stream].copy() for g in (base, corrected))
    assert abs(float((found - exact).mean())) < 0.15 * step

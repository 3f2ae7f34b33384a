import numpy as np
import pytest

from quantforge.graph import Graph, QuantSpec
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import INT8
from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.bias_correction import (
    add_channel_sums,
    channel_statistics,
    channel_sums_reference,
    correct_biases,
)
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN, Recipe
from quantforge.quantization.solve import solve
from tests.networks import Net


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


def test_statistics_are_those_of_numpy():
    base = network()
    quantized = coarse(base, DPU_CNN)
    session = Interpreter().session(base, ["r1.out"])
    found = channel_statistics(quantized, session, [feeds(), feeds()])["r1.out"]
    value = session.run(feeds())["r1.out"]
    stored = fake_quantize_value(value, quantized.value("r1.out").quant)
    np.testing.assert_allclose(found.mean, value.mean(axis=(0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(found.offset, (stored - value).mean(axis=(0, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(found.positive, (value > 0).mean(axis=(0, 2, 3)))


def test_the_fast_kernel_equals_its_definition():
    rows = np.random.default_rng(0).normal(0, 3, size=(4, 5, 33)).astype(np.float32)
    spec = QuantSpec.power_of_two(INT8, 5)
    sums = np.zeros((3, 5))
    add_channel_sums(rows, np.float32(spec.scale[0]), np.float32(-128), np.float32(127), sums)
    np.testing.assert_allclose(
        sums, channel_sums_reference(rows, fake_quantize_value(rows, spec)), rtol=1e-6, atol=1e-4
    )


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

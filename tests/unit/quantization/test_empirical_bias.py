from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import quantforge
from quantforge.graph import Graph
from quantforge.numerics.formats import IntFormat
from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.empirical_bias import correct_by_samples
from quantforge.quantization.flow import Quantized, quantize_graph
from quantforge.quantization.recipe import CPU_TRANSFORMER, DPU_CNN
from tests.networks import Net
from tests.unit.frontends.onnx.text_models import model, random, run
from tests.unit.quantization.test_fine_tuning import source

COARSE = replace(
    DPU_CNN,
    activations=replace(DPU_CNN.activations, format=IntFormat(4)),
    weights=replace(DPU_CNN.weights, format=IntFormat(4)),
    equalize=None,
    correct_bias=False,
)
FEEDS = [{"x": np.random.default_rng(k).normal(size=(6, 3, 6, 6)).astype(np.float32)} for k in range(2)]


def network() -> Graph:
    """A residual sum, so that values are kept across layers, and layers of both kinds."""
    net = Net()
    first = net.add("relu", "r1", (net.conv("c1", "x", 4),))
    total = net.add("eltwise-add", "add", (net.conv("c2", first, 4), first))
    return net.done(net.conv("c3", net.add("relu", "r2", (total,)), 2))


@pytest.fixture(scope="module")
def solved() -> Quantized:
    return quantize_graph(network(), Interpreter(), source(), COARSE)


def mean_errors(base: Graph, graph: Graph) -> dict[str, float]:
    """The largest mean error of a channel, by layer."""
    names = ["c1.out", "c2.out", "c3.out"]
    runs = []
    for each in (base, graph):
        session = Interpreter().session(each, names)
        rows = [{k: np.array(v) for k, v in session.run(feeds).items()} for feeds in FEEDS]
        runs.append(
            {name: np.concatenate([row[name] for row in rows]).mean(axis=(0, 2, 3)) for name in names}
        )
    return {name: float(np.abs(runs[1][name] - runs[0][name]).max()) for name in names}


def test_layers_have_the_mean_of_the_float_network(solved: Quantized) -> None:
    found, notes = correct_by_samples(solved.base, solved.graph, Interpreter(), FEEDS, COARSE)
    before, after = mean_errors(solved.base, solved.graph), mean_errors(solved.base, found)
    assert [note.op for note in notes] == ["c1", "c2", "c3"]
    for name, error in after.items():
        assert error < 0.35 * before[name]


def test_the_graph_given_stays_and_without_samples_nothing_moves(solved: Quantized) -> None:
    constant = solved.graph.value("c2.b").const
    correct_by_samples(solved.base, solved.graph, Interpreter(), FEEDS, COARSE)
    assert solved.graph.value("c2.b").const is constant
    assert correct_by_samples(solved.base, solved.graph, Interpreter(), [], COARSE)[1] == ()


def test_as_a_choice_of_the_recipe(solved: Quantized) -> None:
    recipe = replace(COARSE, correct_bias_by_samples=True)
    found = quantize_graph(network(), Interpreter(), source(), recipe)
    assert {note.op for note in found.notes if note.made_by == "measure-bias"} == {"c1", "c2", "c3"}
    assert "measure biases" in [timing.stage for timing in found.timings]
    assert solved.measurement is not None and found.measurement is not None
    noise = [one.measurement.accumulated["c3.out"].noise for one in (solved, found)]  # type: ignore[union-attr]
    assert noise[1] < noise[0]


def test_constants_of_sums_behind_products_move() -> None:
    text = """agraph (float[N,T,8] x) => (float[N,T,6] y) {
        p = MatMul (x, w) q = Add (p, b) r = Relu (q) s = MatMul (r, v) y = Add (s, c) }"""
    made = model(text, w=random(8, 6), b=random(6), v=random(6, 6, seed=1), c=random(6, seed=2))
    feeds = [{"x": random(4, 5, 8, seed=seed)} for seed in (6, 7)]
    four = replace(CPU_TRANSFORMER.activations, format=IntFormat(4))
    recipe = replace(CPU_TRANSFORMER, smooth=None, activations=four, correct_bias=False)
    off = []
    for samples in (False, True):
        chosen = replace(recipe, correct_bias_by_samples=samples)
        found = quantforge.quantize(made, feeds, recipe=chosen).model
        exact, rounded = (np.concatenate([run(each, one)[0] for one in feeds]) for each in (made, found))
        off.append(np.abs((rounded - exact).mean(axis=(0, 1))).max())
    assert off[1] < 0.1 * off[0]

"""Smoothing in a recipe: ranges from samples, and what it is worth on outlier channels."""

from dataclasses import replace

import numpy as np
import pytest

import quantforge
from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import import_model
from quantforge.graph import Graph
from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import CPU_PLACEMENT, CPU_TRANSFORMER, NPU_TRANSFORMER, Recipe, Smoothing
from quantforge.quantization.recipe_file import parse_recipe, recipe_text
from quantforge.quantization.smooth import smooth
from tests.unit.frontends.onnx.text_models import model, random, run

CAPPED = Smoothing(gelu_reach=0.25)
BATCHES = [{"x": random(4, 6, 16, seed=seed)} for seed in range(4)]


def block() -> object:
    """A norm with two outlier channels, a product, GELU and the residual sum."""
    text = """agraph (float[N,T,16] x) => (float[N,T,16] y) {
        n = LayerNormalization <axis = -1> (x, gamma, beta) p = MatMul (n, w) h = Relu (p) q = MatMul (h, v)
        y = Add (q, x) }"""
    gamma = np.ones(16, np.float32)
    gamma[[2, 9]] = 40.0, 90.0
    w, v = random(16, 32) / 4, random(32, 16, seed=1) / 4
    w[[2, 9]] /= 40.0
    return model(text, gamma=gamma, beta=random(16, seed=2), w=w, v=v)


def sqnr(recipe: Recipe) -> float:
    made = quantforge.quantize(block(), BATCHES, recipe=recipe).model
    exact, found = (np.concatenate([run(each, feeds)[0] for feeds in BATCHES]) for each in (block(), made))
    return float(10 * np.log10((exact**2).sum() / ((exact - found) ** 2).sum()))


@pytest.mark.parametrize("recipe", [CPU_TRANSFORMER, NPU_TRANSFORMER], ids=lambda recipe: recipe.name)
def test_outlier_channels_cost_less(recipe: Recipe) -> None:
    assert sqnr(recipe) > sqnr(replace(recipe, smooth=None)) + 3.0


def test_ranges_come_from_the_samples() -> None:
    graph: Graph = import_model(block())
    places = place(graph, CPU_TRANSFORMER)
    result = smooth(graph, Interpreter(), BATCHES, places, Smoothing(1.0), CPU_TRANSFORMER.placement)
    session = Interpreter().session(result.graph, ["n"])
    tops = np.max([np.abs(session.run(feeds)["n"]).max(axis=(0, 1)) for feeds in BATCHES], axis=0)
    np.testing.assert_allclose(tops, tops[0], rtol=1e-4)


def test_where_sums_are_rounded_norms_with_other_readers_are_left_alone() -> None:
    graph: Graph = import_model(block())
    other = graph.copy()
    other.replace_op(replace(graph.op("Add_4"), inputs=("q", "n")))
    for placement, done in ((CPU_PLACEMENT, False), (CPU_TRANSFORMER.placement, True)):
        recipe = replace(CPU_TRANSFORMER, placement=placement)
        result = smooth(other, Interpreter(), BATCHES, place(other, recipe), Smoothing(), placement)
        assert bool(result.changed) is done


def test_gelus_are_capped_where_the_product_stays_in_float() -> None:
    text = """agraph (float[N,T,16] x) => (float[N,T,16] y) {
        n = LayerNormalization <axis = -1> (x, gamma) p = MatMul (n, w) g = Gelu (p) y = MatMul (g, v) }"""
    w, v = random(16, 32) / 4, random(32, 16, seed=1) / 4
    w[:, [3, 7]] *= 25.0
    v[[3, 7]] /= 100.0
    made = model(text, 20, gamma=np.ones(16, np.float32), w=w, v=v)
    graph: Graph = import_model(made)
    for placement, done in ((CPU_PLACEMENT, False), (CPU_TRANSFORMER.placement, True)):
        recipe = replace(CPU_TRANSFORMER, placement=placement)
        result = smooth(graph, Interpreter(), BATCHES, place(graph, recipe), CAPPED, placement)
        note = next(note for note in result.notes if note.op == graph.producer("y").name)
        assert (note.done, note.made_by == "smooth-gelus") == (done, done)

    def noise(reach: float) -> float:
        recipe = replace(CPU_TRANSFORMER, smooth=Smoothing(gelu_reach=reach))
        found = quantforge.quantize(made, BATCHES, recipe=recipe).model
        pairs = [(run(made, feeds)[0], run(found, feeds)[0]) for feeds in BATCHES]
        return float(sum(np.square(exact - rounded).sum() for exact, rounded in pairs))

    assert noise(0.1) < 0.5 * noise(1.0)


def test_nothing_to_smooth_looks_at_nothing() -> None:
    graph = import_model(model("agraph (float[N,4] x) => (float[N,4] y) { y = Relu (x) }"))
    result = smooth(graph, Interpreter(), [], place(graph, CPU_TRANSFORMER), Smoothing(), CPU_PLACEMENT)
    assert (result.changed, result.notes) == ((), ())


def test_in_a_recipe_file() -> None:
    recipe = parse_recipe('base = "cpu-cnn"\n[smooth]\nalpha = 0.3')
    assert recipe.smooth == Smoothing(0.3)
    assert parse_recipe(recipe_text(recipe)).smooth == Smoothing(0.3)
    assert parse_recipe('base = "cpu-transformer"\nsmooth = false').smooth is None
    with pytest.raises(InputError, match=r"Q0531 smooth.alpha: found 1.5; expected a number from 0 to 1"):
        parse_recipe("[smooth]\nalpha = 1.5")
    with pytest.raises(InputError, match=r"Q0531 smooth.gelu_reach: found 0.0"):
        parse_recipe("[smooth]\ngelu_reach = 0.0")

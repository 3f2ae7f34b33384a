from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.fine_tuning import FineTune
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import DPU_CNN, Recipe
from quantforge.quantization.scaling import fits_grids, scale_layers
from tests.networks import Net

FEEDS = [{"x": 1.3 * np.random.default_rng(0).normal(size=(4, 3, 6, 6)).astype(np.float32)}]


def made_by(recipe: Recipe) -> set[str]:
    net = Net()
    graph = net.done(net.conv("c2", net.add("relu", "r", (net.conv("c1", "x", 4),)), 2))
    found = scale_layers(graph, Interpreter(), FEEDS, place(graph, recipe), recipe)
    outputs = [Interpreter().session(g, ["c2.out"]).run(FEEDS[0])["c2.out"] for g in (graph, found.graph)]
    np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-3)
    return {note.made_by for note in found.notes if note.done}


def test_what_the_recipe_asks_for() -> None:
    tuned = replace(DPU_CNN, finetune=FineTune())
    assert made_by(DPU_CNN) == {"equalize-layers"}
    assert made_by(tuned) == {"equalize-layers", "scale-groups"}
    assert made_by(replace(tuned, equalize=None)) == {"scale-groups"}
    assert made_by(replace(tuned, equalize=None, finetune=FineTune(fit_grids=False))) == set()
    assert fits_grids(tuned) and not fits_grids(DPU_CNN)

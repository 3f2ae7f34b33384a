from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.graph import Graph
from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.flow import Quantized, quantize_graph
from quantforge.quantization.output_positions import positions_by_output
from quantforge.quantization.recipe import DPU_CNN, Recipe
from tests.networks import Net
from tests.unit.quantization.test_fine_tuning import source

PLAIN = replace(DPU_CNN, equalize=None, correct_bias=False)
FEEDS = [{"x": np.random.default_rng(3).normal(size=(6, 3, 6, 6)).astype(np.float32)}]


def network() -> Graph:
    """A large channel that the layer behind it does not look at, and small ones that it does."""
    net = Net()
    graph = net.done(net.conv("c2", net.add("relu", "r", (net.conv("c1", "x", 4),)), 2))
    scale = np.array([40.0, 1.0, 1.0, 1.0], np.float32)
    net.const("c1.w", graph.value("c1.w").const * scale.reshape(-1, 1, 1, 1))  # type: ignore[operator]
    weights = np.array(graph.value("c2.w").const)
    weights[:, 0] = 0.0
    net.const("c2.w", weights)
    return graph


def quantized(recipe: Recipe) -> Quantized:
    return quantize_graph(network(), Interpreter(), source(), recipe)


def test_what_no_layer_looks_at_saturates() -> None:
    found = quantized(replace(PLAIN, positions_by_output=True))
    before = quantized(PLAIN)
    old, new = (one.graph.value("r.out").quant for one in (before, found))
    assert old is not None and new is not None and old.position is not None
    assert new.position == old.position + 1
    assert "r.out" in {note.op for note in found.notes if note.made_by == "position-by-output"}
    assert before.measurement is not None and found.measurement is not None
    noise = [one.measurement.accumulated["c2.out"].noise for one in (before, found)]  # type: ignore[union-attr]
    assert noise[1] < 0.8 * noise[0]


@pytest.mark.parametrize("step", [-2, 2])
def test_positions_move_towards_the_best(step: int) -> None:
    done = quantized(PLAIN)
    graph = done.graph.copy()
    value = graph.value("c2.w")
    assert value.quant is not None
    graph.set_value(replace(value, quant=replace(value.quant, scale=(value.quant.scale[0] * 2.0**step,))))
    found, notes = positions_by_output(done.base, graph, Interpreter(), FEEDS, done.places, PLAIN)
    moved = found.value("c2.w").quant
    assert moved is not None and "c2.w" in {note.op for note in notes}
    assert moved.scale[0] == value.quant.scale[0] * 2.0 ** (step - np.sign(step))
    assert found.value("c2.out").quant == done.graph.value("c2.out").quant  # the outputs stay


def test_float_scales_stay() -> None:
    done = quantize_graph(network(), Interpreter(), source(), replace(PLAIN, name="x"))
    graph = done.graph.copy()
    for other in graph.values:
        if other.quant is not None:
            graph.set_value(replace(other, quant=replace(other.quant, scale=(0.3,))))
    assert positions_by_output(done.base, graph, Interpreter(), FEEDS, done.places, PLAIN)[0] is graph

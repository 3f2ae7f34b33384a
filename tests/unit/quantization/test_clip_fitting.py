from __future__ import annotations

import numpy as np

from quantforge.graph import Graph, QuantSpec
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import INT8
from quantforge.ops.interpreter import Interpreter
from quantforge.passes.replace_relu6 import replace_relu6
from quantforge.quantization.clip_fitting import LIMIT, Channels, fit_clips, with_relus
from quantforge.quantization.equalize import equalize
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN, Equalization
from tests.networks import Net

FEEDS = [{"x": 3 * np.random.default_rng(i).normal(size=(8, 3, 6, 6)).astype(np.float32)} for i in range(3)]


def network() -> Graph:
    """A relu6 behind channels that reach far beyond it, about to it, and not nearly."""
    net = Net()
    graph = net.done(net.conv("c2", net.add("relu6", "r", (net.conv("c1", "x", 4),)), 2))
    scale = np.array([3.0, 0.3, 0.05, 0.01], np.float32)
    net.const("c1.w", graph.value("c1.w").const * scale.reshape(-1, 1, 1, 1))  # type: ignore[operator]
    net.const("c1.b", graph.value("c1.b").const * scale)  # type: ignore[operator]
    return graph


def outputs(graph: Graph, name: str = "c2.out") -> np.ndarray:
    session = Interpreter().session(graph, [name])
    return np.concatenate([np.array(session.run(feeds)[name]) for feeds in FEEDS])


def fitted() -> tuple[Graph, Graph, Graph]:
    """The model, the same with relu and equalized, and that fitted."""
    model = network()
    base = replace_relu6(model).graph
    places = place(base, DPU_CNN)
    equalized = equalize(base, Interpreter(), FEEDS, places, Equalization()).graph
    return model, equalized, fit_clips(base, equalized, Interpreter(), FEEDS, places).graph


def test_the_graph_computes_what_the_model_did() -> None:
    model, equalized, found = fitted()
    wanted = outputs(model)
    off = [
        float(np.square(outputs(graph) - wanted).sum() / np.square(wanted).sum())
        for graph in (equalized, found)
    ]
    assert off[0] > 0.05
    assert off[1] < 1e-3
    assert found.op("r").kind == "clip"


def test_a_relu_does_the_same_once_it_is_stored() -> None:
    _, _, found = fitted()
    spec = QuantSpec(INT8, (float(str(found.op("r").attrs["max"])) / 127,), (0,))
    assert np.log2(spec.scale[0]) % 1 == 0
    plain = with_relus(found)
    assert plain.op("r").kind == "relu" and found.op("r").kind == "clip"
    stored = [fake_quantize_value(outputs(graph, "r.out"), spec, "r.out") for graph in (found, plain)]
    np.testing.assert_array_equal(*stored)
    assert outputs(plain, "r.out").max() > outputs(found, "r.out").max()


def test_what_was_no_relu6_and_free_scales_stay() -> None:
    base = replace_relu6(network()).graph
    assert fit_clips(base, base, Interpreter(), FEEDS, place(base, CPU_CNN)).graph is base
    net = Net()
    plain = net.done(net.conv("c2", net.add("relu", "r", (net.conv("c1", "x", 4),)), 2))
    assert fit_clips(plain, plain, Interpreter(), FEEDS, place(plain, DPU_CNN)).graph is plain


def test_channels_that_reach_the_clip_end_with_the_grid() -> None:
    some = np.abs(np.random.default_rng(0).normal(size=(3, 200))).astype(np.float32)
    channels = Channels(some, np.array([8.0, 3.0, 0.0]), LIMIT * np.array([1.0, 1.0, np.inf]))
    assert channels.active.tolist() == [True, False, False]
    end = channels.end(127)
    assert end == 127 / 16  # the power of two nearest to 6 / 127
    factors = channels.factors(end, 127)
    np.testing.assert_allclose(factors[0] * LIMIT, end)
    assert factors[1] == factors[2] >= end / 6
    dead = Channels(np.zeros((2, 4), np.float32), np.zeros(2), np.full(2, np.inf))
    assert dead.factors(dead.end(127), 127).tolist() == [1.0, 1.0]

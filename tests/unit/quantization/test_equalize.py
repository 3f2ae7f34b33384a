from __future__ import annotations

import numpy as np
import pytest

from quantforge.graph import Graph
from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.equalize import channel_ranges, equalize
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import DPU_CNN, Equalization
from tests.networks import Net

FEEDS = [{"x": np.random.default_rng(i).normal(size=(2, 3, 6, 6)).astype(np.float32)} for i in range(2)]


def network() -> Graph:
    """Two convolutions whose channels in between differ a thousandfold."""
    net = Net()
    graph = net.done(net.conv("c2", net.add("relu", "r", (net.conv("c1", "x", 4),)), 2))
    scale = np.array([1e-3, 0.1, 1.0, 30.0], np.float32)
    for name, shape in (("c1.w", (4, 1, 1, 1)), ("c1.b", (4,))):
        net.const(name, graph.value(name).const * scale.reshape(shape))  # type: ignore[operator]
    net.const("c2.w", graph.value("c2.w").const / scale.reshape(1, 4, 1, 1))  # type: ignore[operator]
    return graph


def spread(ranges: np.ndarray) -> float:
    return float(ranges.max() / ranges.min())


def test_ranges_are_the_largest_magnitudes_of_all_samples() -> None:
    found = channel_ranges(Interpreter(), network(), ["r.out", "c2.out"], FEEDS)
    runs = [Interpreter().session(network(), ["r.out", "c2.out"]).run(feeds) for feeds in FEEDS]
    for name, ranges in found.items():
        expected = np.abs(np.concatenate([run[name] for run in runs])).max(axis=(0, 2, 3))
        np.testing.assert_array_equal(ranges, expected)


@pytest.mark.parametrize("activations", [True, False], ids=["by values", "by weights"])
def test_channels_come_closer_and_the_function_stays(activations: bool) -> None:
    graph = network()
    options = Equalization(activations=activations)
    result = equalize(graph, Interpreter(), FEEDS, place(graph, DPU_CNN), options)
    before, after = (
        channel_ranges(Interpreter(), each, ["r.out"], FEEDS)["r.out"] for each in (graph, result.graph)
    )
    assert spread(before) > 1000.0 and spread(after) < spread(before) / 100.0
    assert set(result.changed) == {"c1", "c2"}
    for feeds in FEEDS:
        expected, found = (
            Interpreter().session(each, ["c2.out"]).run(feeds)["c2.out"] for each in (graph, result.graph)
        )
        # float32 rounding of weights and sums, which cancel among channels
        np.testing.assert_allclose(found, expected, atol=1e-4 * float(np.abs(expected).max()))


def test_without_data_or_groups_nothing_happens() -> None:
    net = Net()
    graph = net.done(net.conv("c", "x", 4))
    result = equalize(graph, Interpreter(), [], place(graph, DPU_CNN), Equalization())
    assert result.changed == ()

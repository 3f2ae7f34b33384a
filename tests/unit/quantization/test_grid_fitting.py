from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.graph import Graph
from quantforge.ops.interpreter import Interpreter
from quantforge.passes.equalize_layers import channel_groups
from quantforge.quantization.grid_fitting import STEPS, balance, fit_grids, grid_errors, pick, room
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN
from tests.networks import Net

FEEDS = [{"x": np.random.default_rng(i).normal(size=(4, 3, 6, 6)).astype(np.float32)} for i in range(2)]


def network(seed: int) -> Graph:
    net = Net(seed=seed)
    first = net.add("relu", "r1", (net.conv("c1", "x", 4),))
    total = net.add("eltwise-add", "add", (net.conv("c2", first, 4), first))
    return net.done(net.conv("c3", total, 2))


def relative_error(graph: Graph) -> float:
    """The sum of relative errors of the values between layers, each on its best grid."""
    found = pick(Interpreter(), graph, ["r1.out", "c2.out", "add.out"], FEEDS)
    return float(sum(grid_errors(room(8) * array, 8)[0] for array in found.values()))


@pytest.mark.parametrize("seed", range(4))
def test_values_fill_their_grids_and_the_function_stays(seed: int) -> None:
    graph = network(seed)
    found = fit_grids(graph, Interpreter(), FEEDS, place(graph, DPU_CNN), DPU_CNN)
    outputs = [Interpreter().session(g, ["c3.out"]).run(FEEDS[0])["c3.out"] for g in (graph, found.graph)]
    np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-3)
    assert relative_error(found.graph) <= relative_error(graph) * 1.02  # weights count a little


def test_float_scales_leave_the_graph() -> None:
    graph = network(0)
    assert fit_grids(graph, Interpreter(), FEEDS, place(graph, CPU_CNN), CPU_CNN).changed == ()
    wide = replace(DPU_CNN, activations=replace(DPU_CNN.activations, keep_float=True))
    assert fit_grids(graph, Interpreter(), FEEDS, place(graph, wide), wide).changed == ()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.01, 100.0), st.sampled_from([4, 8]))
def test_errors_repeat_with_every_power_of_two(seed: int, size: float, bits: int) -> None:
    x = (np.random.default_rng(seed).normal(size=300) * size).astype(np.float32)
    errors = grid_errors(x, bits)
    np.testing.assert_allclose(grid_errors(x * np.float32(4.0), bits), errors, rtol=1e-3)
    np.testing.assert_allclose(
        grid_errors(x * np.float32(2 ** (3 / STEPS)), bits)[:-3], errors[3:], rtol=1e-2
    )


@pytest.mark.parametrize("nothing", [np.zeros(4), np.zeros(0)])
def test_nothing_to_lose(nothing: np.ndarray) -> None:
    assert not grid_errors(nothing, 8).any()


def test_weights_hold_the_groups_together() -> None:
    groups = channel_groups(network(0))[0]
    values = [np.ones(STEPS) for _ in groups]
    values[0][5] = 0.0
    weights = {name: np.zeros(STEPS) for group in groups for name in (*group.heads, *group.tails)}
    assert balance(groups, values, weights)[0] == 5
    weights["c1"][1:] = 10.0  # c1 writes the group: any step but none is bad for its weights
    assert balance(groups, values, weights)[0] == 0

import numpy as np
import pytest

from quantforge.graph import Graph
from quantforge.ops.interpreter import Interpreter
from quantforge.passes.equalize_layers import (
    channel_groups,
    equalize_layers,
    largest_magnitudes,
    largest_magnitudes_reference,
)
from tests.networks import Net


def output(graph: Graph) -> np.ndarray:
    x = np.random.default_rng(1).normal(size=(2, 3, 6, 6)).astype(np.float32)
    return np.array(Interpreter().session(graph, list(graph.outputs)).run({"x": x})[graph.outputs[0]])


def unequal(net: Net, name: str, factors: list[float]) -> None:
    value = net.graph.value(name)
    scaled = value.const * np.asarray(factors, np.float32).reshape(-1, 1, 1, 1)
    net.const(name, scaled)


def chain() -> Graph:
    net = Net()
    first = net.add("relu", "r1", (net.conv("c1", "x", 4),))
    second = net.add("relu", "r2", (net.depthwise("d", first),))
    graph = net.done(net.conv("c2", second, 2))
    unequal(net, "c1.w", [100, 1, 0.01, 3])
    return graph


def test_keeps_the_function_and_gives_each_channel_the_same_share_on_both_sides():
    graph = chain()
    result = equalize_layers(graph, sweeps=50)
    head = np.abs(result.graph.value("c1.w").const).max(axis=(1, 2, 3))
    tail = np.abs(result.graph.value("d.w").const).max(axis=(1, 2, 3))
    np.testing.assert_allclose(head / head.max(), tail / tail.max(), rtol=1e-2)
    np.testing.assert_allclose(output(graph), output(result.graph), rtol=1e-3, atol=1e-4)
    assert set(result.changed) == {"c1", "d", "c2"}


def test_residual_adds_tie_their_branches_together():
    net = Net()
    first = net.add("relu", "r1", (net.conv("c1", "x", 4),))
    branch = net.conv("c2", first, 4)
    total = net.add("eltwise-add", "add", (branch, first))
    graph = net.done(net.conv("c3", total, 2))
    unequal(net, "c1.w", [100, 1, 0.01, 3])
    groups, _ = channel_groups(graph)
    assert {"c1", "c2"} == set(groups[0].heads)
    assert {"c2", "c3"} == set(groups[0].tails)
    result = equalize_layers(graph, sweeps=20)
    np.testing.assert_allclose(output(graph), output(result.graph), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["sigmoid", "relu6", "softmax"])
def test_refuses_what_does_not_commute_with_a_scale_and_names_it(kind: str):
    net = Net()
    middle = net.add(kind, "act", (net.conv("c1", "x", 4),), **({"axis": 1} if kind == "softmax" else {}))
    graph = net.done(net.conv("c2", middle, 2))
    result = equalize_layers(graph)
    assert result.changed == ()
    assert any("act" in note.text and note.op == "c1" for note in result.notes)


def test_refuses_shared_weights_and_graph_outputs():
    net = Net()
    first = net.conv("c1", "x", 4)
    second = net.conv("c2", first, 4)
    graph = net.done(second, first)
    result = equalize_layers(graph)
    assert result.changed == ()
    assert any("graph output" in note.text for note in result.notes)


def test_ranges_of_values_count_as_much_as_those_of_the_weights():
    net = Net()
    graph = net.done(net.conv("c2", net.add("relu", "r", (net.conv("c1", "x", 4),)), 2))
    reach = np.array([1.0, 100.0, 1.0, 1.0])
    result = equalize_layers(graph, ranges={"r.out": reach})
    before, after = graph.value("c1.w").const, result.graph.value("c1.w").const
    scale = np.abs(after).max(axis=(1, 2, 3)) / np.abs(before).max(axis=(1, 2, 3))
    assert np.argmin(scale) == 1
    np.testing.assert_allclose(output(graph), output(result.graph), rtol=1e-3, atol=1e-4)


def test_the_fast_kernel_equals_its_definition():
    rows = np.random.default_rng(0).normal(size=(50, 9)).astype(np.float32)
    found = np.empty(len(rows), np.float32)
    largest_magnitudes(rows, found)
    np.testing.assert_array_equal(found, largest_magnitudes_reference(rows))


def test_a_channel_of_zeros_stays_as_it_is():
    net = Net()
    graph = net.done(net.conv("c2", net.conv("c1", "x", 4), 2))
    unequal(net, "c1.w", [0, 1, 1, 1])
    result = equalize_layers(graph, sweeps=3)
    assert np.isfinite(result.graph.value("c2.w").const).all()
    np.testing.assert_allclose(output(graph), output(result.graph), rtol=1e-3, atol=1e-4)


def test_a_channel_whose_values_are_zero_is_balanced_by_its_weights():
    net = Net()
    first = net.add("relu", "r1", (net.conv("c1", "x", 4),))
    graph = net.done(net.conv("c2", net.add("relu", "r2", (net.depthwise("d", first),)), 2))
    unequal(net, "d.w", [1, 200, 1, 1])
    dead = np.array([1.0, 0.0, 1.0, 1.0])
    result = equalize_layers(graph, sweeps=20, ranges={"c1.out": dead, "d.out": np.ones(4)})
    tails = np.abs(result.graph.value("d.w").const).max(axis=(1, 2, 3))
    assert tails[1] / np.median(tails) < 15.0  # 44 where the channel is left alone
    np.testing.assert_allclose(output(graph), output(result.graph), rtol=1e-3, atol=1e-3)


def test_sweeps_end_when_the_weights_hardly_change() -> None:
    net = Net()
    y = "x"
    for index in range(4):
        y = net.add("relu", f"r{index}", (net.conv(f"c{index}", y, 6),))
    graph = net.done(net.conv("last", y, 3))

    def weights(sweeps: int, least: float | None) -> list[np.ndarray]:
        made = equalize_layers(graph, sweeps, tolerance=0.0, least_change=least).graph
        return [np.asarray(made.const(op, 1)) for op in made.ops if op.kind == "conv2d"]

    steps = [weights(sweeps, None) for sweeps in range(8)]
    for sweeps in range(1, 7):
        change = sum(
            float(np.abs(new - old).mean()) for new, old in zip(steps[sweeps], steps[sweeps - 1], strict=True)
        )
        ended = weights(100, change * 1.01)
        assert all(np.allclose(a, b) for a, b in zip(ended, steps[sweeps], strict=True))
        later = weights(sweeps + 1, change * 0.99)
        assert all(np.allclose(a, b) for a, b in zip(later, steps[sweeps + 1], strict=True))


def test_large_matrices_are_scaled_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    graph = net.done(net.conv("b", net.add("relu", "r", (net.conv("a", "x", 9),)), 5))
    whole = equalize_layers(graph, sweeps=3).graph
    monkeypatch.setattr("quantforge.passes.equalize_layers._SLAB", 40)
    pieces = equalize_layers(graph, sweeps=3).graph
    for name in ("a.w", "a.b", "b.w", "b.b"):
        np.testing.assert_array_equal(pieces.value(name).const, whole.value(name).const)  # type: ignore[arg-type]

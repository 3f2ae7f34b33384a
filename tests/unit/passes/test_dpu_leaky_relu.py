import pytest

from quantforge.passes.dpu_leaky_relu import dpu_leaky_relus
from tests.networks import Net


@pytest.mark.parametrize("slope", [0.1, 0.0999755859375, 0.10000000149011612])
def test_a_slope_of_a_tenth_becomes_26_256(slope: float) -> None:
    net = Net()
    result = dpu_leaky_relus(net.done(net.add("leaky-relu", "a", ("x",), alpha=slope)))
    assert result.graph.op("a").attrs["alpha"] == 26 / 256
    assert result.graph.op("a").origin.made_by == "dpu-leaky-relu"
    assert result.changed == ("a",) and result.notes[0].done


@pytest.mark.parametrize("slope", [0.01, 0.2, 0.3])
def test_another_slope_stays_and_is_said(slope: float) -> None:
    net = Net()
    result = dpu_leaky_relus(net.done(net.add("leaky-relu", "a", ("x",), alpha=slope)))
    assert result.graph.op("a").attrs["alpha"] == slope
    assert result.changed == () and not result.notes[0].done and f"{slope:g}" in result.notes[0].text


def test_the_dpus_slope_and_float_operators_are_left_alone() -> None:
    net = Net()
    first = net.add("leaky-relu", "a", ("x",), alpha=26 / 256)
    graph = net.done(net.add("leaky-relu", "b", (first,), alpha=0.1))
    assert dpu_leaky_relus(graph, {"b"}).notes == ()


@pytest.mark.parametrize(("slope", "parts"), [(0.01, 3), (0.2, 51), (0.1, 26), (0.0999, 26)])
def test_every_slope_in_256ths_where_that_is_asked_for(slope: float, parts: int) -> None:
    net = Net()
    result = dpu_leaky_relus(net.done(net.add("leaky-relu", "a", ("x",), alpha=slope)), every_slope=True)
    assert result.graph.op("a").attrs["alpha"] == parts / 256
    assert f"{parts}/256" in result.notes[0].text and ("CPU" in result.notes[0].text) == (parts != 26)

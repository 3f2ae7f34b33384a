import numpy as np

from quantforge.passes.units.regions import ARITHMETIC, downstream, region, upstream, values_of
from tests.networks import Net


def square_and_double() -> Net:
    net = Net()
    two = net.const("two", 2.0)
    square = net.add("eltwise-mul", "q", (net.add("neg", "n", ("x",)), "n.out"))
    net.done(net.add("eltwise-mul", "d", (square, two)))
    return net


def test_walking_up_and_down() -> None:
    graph = square_and_double().graph
    assert upstream(graph, "d.out", ARITHMETIC) == ["d.out", "q.out", "n.out", "x"]
    assert upstream(graph, "d.out", ()) == ["d.out"]
    assert list(downstream(graph, "x", ARITHMETIC)) == ["n.out", "q.out", "d.out"]
    assert list(downstream(graph, "x", {"neg"})) == ["n.out"]


def test_a_value_with_two_readers_ends_the_walk_down() -> None:
    net = Net()
    net.done(net.add("neg", "a", ("x",)), net.add("abs", "b", ("x",)))
    assert list(downstream(net.graph, "x", {"neg", "abs"})) == []


def test_a_region_has_one_source() -> None:
    net = square_and_double()
    ops = region(net.graph, "n.out", "d.out", ARITHMETIC)
    assert ops is not None and [op.name for op in ops] == ["q", "d"]
    assert region(net.graph, "n.out", "d.out", {"neg"}) is None
    other = net.add("eltwise-add", "s", ("d.out", "x"))
    assert region(net.graph, "n.out", other, ARITHMETIC) is None, "x is a second source"


def test_a_constant_of_many_numbers_ends_a_region() -> None:
    net = Net()
    graph = net.done(net.add("eltwise-add", "s", ("x", net.const("c", np.ones(6)))))
    assert region(graph, "x", "s.out", ARITHMETIC) is None


def test_what_a_region_computes() -> None:
    graph = square_and_double().graph
    ops = region(graph, "x", "d.out", ARITHMETIC)
    assert ops is not None
    x = np.array([1.0, -3.0])
    values = values_of(graph, ops, "x", "d.out", x)
    assert values.tolist() == [2.0, 18.0] and values.dtype == np.float64

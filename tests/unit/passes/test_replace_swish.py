import numpy as np

from quantforge.ops.interpreter import Interpreter
from quantforge.passes.replace_swish import replace_swishes
from tests.networks import Net


def test_a_swish_becomes_a_hard_swish_with_a_note() -> None:
    net = Net()
    result = replace_swishes(net.done(net.add("swish", "a", ("x",))))
    assert [op.kind for op in result.graph.ops] == ["hard-swish"]
    assert result.changed == ("a",) and result.notes[0].done
    assert result.graph.op("a").origin.made_by == "replace-swish"


def test_a_product_with_its_sigmoid_is_one_too_whichever_comes_first() -> None:
    for swap in (False, True):
        net = Net()
        gate = net.add("sigmoid", "s", ("x",))
        graph = net.done(net.add("eltwise-mul", "m", (gate, "x") if swap else ("x", gate)))
        found = replace_swishes(graph).graph
        assert [(op.kind, op.name, op.inputs) for op in found.ops] == [("hard-swish", "m", ("x",))]
        assert not found.has_value("s.out")


def test_a_sigmoid_that_something_else_reads_stays() -> None:
    net = Net()
    gate = net.add("sigmoid", "s", ("x",))
    product = net.add("eltwise-mul", "m", ("x", gate))
    for outputs in ((product, gate), (product, net.add("relu", "r", (gate,)))):
        result = replace_swishes(net.done(*outputs))
        assert result.changed == () and result.graph.op("m").kind == "eltwise-mul"


def test_a_gate_of_another_value_is_no_swish() -> None:
    net = Net()
    gate = net.add("sigmoid", "s", (net.add("relu", "r", ("x",)),))
    assert replace_swishes(net.done(net.add("eltwise-mul", "m", ("x", gate)))).changed == ()


def test_it_differs_by_what_the_note_says() -> None:
    net = Net(1, 1)
    graph = net.done(net.add("swish", "a", ("x",)))
    x = np.linspace(-8, 8, 16001, dtype=np.float32).reshape(-1, 1, 1, 1)
    before, after = (
        Interpreter().session(g, ["a.out"]).run({"x": x})["a.out"].copy()
        for g in (graph, replace_swishes(graph).graph)
    )
    assert 0.142 < np.abs(before - after).max() < 0.143

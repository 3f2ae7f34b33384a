import numpy as np

from quantforge.ops.interpreter import Interpreter
from quantforge.passes.replace_sigmoid import replace_sigmoids
from tests.networks import Net


def test_every_sigmoid_becomes_a_hard_one_with_a_note() -> None:
    net = Net(1, 1)
    graph = net.done(net.add("sigmoid", "a", ("x",)))
    result = replace_sigmoids(graph)
    op = result.graph.op("a")
    assert op.kind == "hard-sigmoid" and op.origin.made_by == "replace-sigmoid"
    assert result.changed == ("a",) and "0.07" in result.notes[0].text
    x = np.linspace(-8, 8, 16001, dtype=np.float32).reshape(-1, 1, 1, 1)
    before, after = (
        Interpreter().session(g, ["a.out"]).run({"x": x})["a.out"].copy() for g in (graph, result.graph)
    )
    assert 0.065 < np.abs(before - after).max() < 0.07

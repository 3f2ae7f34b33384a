from quantforge.passes.replace_relu6 import replace_relu6
from tests.networks import Net


def test_every_relu6_becomes_a_relu_with_a_note():
    net = Net()
    graph = net.done(net.add("relu6", "a", (net.add("relu", "b", ("x",)),)))
    result = replace_relu6(graph)
    assert [op.kind for op in result.graph.ops] == ["relu", "relu"]
    assert result.changed == ("a",)
    assert result.graph.op("a").origin.made_by == "replace-relu6"

from quantforge.passes.remove_identity import remove_identities
from tests.networks import Net


def test_removes_identity_dropout_and_empty_pads():
    net = Net()
    y = net.add("identity", "i", ("x",))
    y = net.add("dropout", "d", (net.conv("c", y, 4),))
    y = net.add("pad", "p", (y,), pads=(0,) * 8, mode="constant", value=0.0)
    graph = net.done(net.add("relu", "r", (y,)))
    result = remove_identities(graph)
    assert [op.name for op in result.graph.ops] == ["c", "r"]
    assert result.graph.op("c").inputs[0] == "x"
    assert set(result.changed) == {"i", "d", "p"}


def test_a_graph_output_keeps_its_name():
    net = Net()
    graph = net.done(net.add("identity", "i", (net.conv("c", "x", 4),)))
    result = remove_identities(graph)
    assert [op.name for op in result.graph.ops] == ["c"]
    assert result.graph.outputs == ("i.out",)
    assert result.graph.op("c").outputs == ("i.out",)


def test_a_copy_of_the_input_stays_and_says_why():
    net = Net()
    graph = net.done(net.add("identity", "i", ("x",)))
    result = remove_identities(graph)
    assert [op.name for op in result.graph.ops] == ["i"]
    assert "graph input" in result.notes[0].text


def test_a_real_pad_stays():
    net = Net()
    graph = net.done(net.add("pad", "p", ("x",), pads=(0, 0, 1, 1, 0, 0, 1, 1), mode="constant", value=0.0))
    assert remove_identities(graph).changed == ()

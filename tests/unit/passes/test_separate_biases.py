from quantforge.passes.separate_biases import separate_biases
from tests.networks import Net


def test_the_second_reader_of_a_bias_gets_a_copy_with_the_same_data():
    net = Net()
    first = net.conv("c1", "x", 3)
    attrs = dict(net.graph.op("c1").attrs)
    second = net.add("conv2d", "c2", (first, "c1.w", "c1.b"), **attrs)
    result = separate_biases(net.done(second))
    assert result.changed == ("c2",)
    copy = result.graph.op("c2").inputs[2]
    assert copy != "c1.b"
    assert result.graph.value(copy).const is result.graph.value("c1.b").const
    assert result.graph.op("c2").inputs[1] == "c1.w"


def test_biases_of_their_own_are_left_alone():
    net = Net()
    graph = net.done(net.conv("c2", net.conv("c1", "x", 3), 3))
    assert separate_biases(graph).changed == ()

from dataclasses import replace

import numpy as np

from quantforge.graph import Graph
from quantforge.ops.interpreter import Interpreter
from quantforge.passes.fold_batch_norm import fold_batch_norms
from tests.networks import Net


def outputs(graph: Graph, batch: int = 2) -> list[np.ndarray]:
    x = np.random.default_rng(1).normal(size=(batch, 3, 6, 6)).astype(np.float32)
    found = Interpreter().session(graph, list(graph.outputs)).run({"x": x})
    return [np.array(found[name]) for name in graph.outputs]


def test_folds_into_the_convolution_before_it_and_keeps_the_function():
    net = Net()
    graph = net.done(net.batchnorm("bn", net.conv("c", "x", 4)))
    result = fold_batch_norms(graph)
    assert [op.kind for op in result.graph.ops] == ["conv2d"]
    assert result.changed == ("c",)
    np.testing.assert_allclose(outputs(graph)[0], outputs(result.graph)[0], rtol=1e-4, atol=1e-5)


def test_makes_a_bias_when_the_convolution_has_none():
    net = Net()
    graph = net.done(net.batchnorm("bn", net.conv("c", "x", 4, bias=False)))
    result = fold_batch_norms(graph)
    assert len(result.graph.op("c").inputs) == 3
    np.testing.assert_allclose(outputs(graph)[0], outputs(result.graph)[0], rtol=1e-4, atol=1e-5)


def test_folds_into_a_depthwise_convolution():
    net = Net()
    graph = net.done(net.batchnorm("bn", net.depthwise("d", "x")))
    result = fold_batch_norms(graph)
    assert [op.kind for op in result.graph.ops] == ["depthwise-conv2d"]
    np.testing.assert_allclose(outputs(graph)[0], outputs(result.graph)[0], rtol=1e-4, atol=1e-5)


def test_a_shared_input_becomes_a_depthwise_convolution_and_says_why():
    net = Net()
    y = net.conv("c", "x", 4)
    graph = net.done(net.batchnorm("bn", y), net.add("relu", "r", (y,)))
    result = fold_batch_norms(graph)
    assert result.graph.op("bn").kind == "depthwise-conv2d"
    assert "used elsewhere" in result.notes[0].text
    for before, after in zip(outputs(graph), outputs(result.graph), strict=True):
        np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-5)


def test_shared_weights_are_not_changed_for_the_other_reader():
    net = Net()
    first = net.conv("c", "x", 3)
    graph = net.done(
        net.batchnorm("bn", first),
        net.add("conv2d", "other", ("x", "c.w", "c.b"), **dict(net.graph.op("c").attrs)),
    )
    result = fold_batch_norms(graph)
    assert result.graph.op("other").inputs[1:] == ("c.w", "c.b")
    for before, after in zip(outputs(graph), outputs(result.graph), strict=True):
        np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-5)


def test_the_input_graph_is_left_alone():
    net = Net()
    graph = net.done(net.batchnorm("bn", net.conv("c", "x", 4)))
    weights = graph.value("c.w").const
    fold_batch_norms(graph)
    assert [op.kind for op in graph.ops] == ["conv2d", "batchnorm"]
    assert graph.value("c.w").const is weights


def dead_channel(variance: list[float]) -> Graph:
    """A depthwise layer whose input channel 1 is zero behind its relu, with the statistics that training leaves."""
    net = Net()
    net.conv("c", "x", 3)
    net.const("c.w", net.graph.value("c.w").const * np.array([1, 0, 1]).reshape(-1, 1, 1, 1))
    net.const("c.b", [0.1, -1.0, 0.2])
    y = net.batchnorm("bn", net.depthwise("d", net.add("relu", "r", ("c.out",))))
    net.const("bn.mean", [0.3, 0.0, 0.1])
    net.const("bn.var", variance)
    return net.done(y)


def test_a_channel_that_never_varied_becomes_its_constant_and_is_noted():
    graph = dead_channel([0.2, 7e-34, 0.3])
    result = fold_batch_norms(graph)
    weights, bias = (result.graph.value(name).const for name in result.graph.op("d").inputs[1:])
    assert not weights[1].any() and weights[0].any() and weights[2].any()
    assert bias[1] == graph.value("bn.beta").const[1]
    assert np.abs(weights).max() < 20.0  # k of the dead channel would be gamma / sqrt(1e-5) > 150
    np.testing.assert_allclose(outputs(graph)[0], outputs(result.graph)[0], rtol=1e-4, atol=1e-5)
    assert "channels made constant, as in training: 1 (1 of 3)" in result.notes[0].text


def test_a_quiet_layer_is_no_dead_one():
    graph = dead_channel([1e-30, 2e-30, 1e-30])  # all alike: a layer that was never trained
    result = fold_batch_norms(graph)
    assert result.graph.value(result.graph.op("d").inputs[1]).const[1].any()
    assert "constant" not in result.notes[0].text


def test_constants_of_sizes_that_do_not_belong_together_are_left_alone() -> None:
    for name in ("bn.gamma", "c.weight", "c.bias"):
        net = Net()
        graph = net.done(net.batchnorm("bn", net.conv("c", "x", 4)))
        op = graph.op("c" if name.startswith("c") else "bn")
        index = {"bn.gamma": 1, "c.weight": 1, "c.bias": 2}[name]
        value = graph.value(op.inputs[index])
        graph.set_value(replace(value, const=np.asarray(value.const)[:2], shape=None))
        result = fold_batch_norms(graph)
        assert result.changed == () and "size" in result.notes[0].text

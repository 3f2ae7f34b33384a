from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.program import Program  # noqa: E402
from quantforge.frontends.torch.tuning.aims import Aims, channel_scale, names_of  # noqa: E402
from quantforge.frontends.torch.tuning.kept import Samples, Vault  # noqa: E402
from quantforge.frontends.torch.tuning.layers import layers_of  # noqa: E402
from quantforge.frontends.torch.tuning.network import constants_of  # noqa: E402
from quantforge.graph import Graph  # noqa: E402
from tests.unit.frontends.torch.tuning.nets import CPU, images, mixed  # noqa: E402


def test_the_scale_of_channels() -> None:
    before = torch.randn(6, 3, 5, 5)
    before[:, 2] = 0
    scale = torch.tensor([0.5, 7.0, 1.0]).reshape(1, 3, 1, 1)
    found = before * scale
    found[0, 0, 0] = 0.9  # a few elements of another function do not count
    got = channel_scale(found, before)
    assert got is not None
    torch.testing.assert_close(got, scale)
    assert channel_scale(found, torch.randn(6, 3, 5, 5)) is None
    assert channel_scale(found, before[:, :2]) is None
    rows = channel_scale(before[:, :2, 0, 0] * scale[:, :2, 0, 0], before[:, :2, 0, 0])
    assert rows is not None
    torch.testing.assert_close(rows, scale[:, :2, 0, 0])


def limited(base: Graph) -> Graph:
    """The same with a relu that stops at 0.4 behind the depthwise layer, and all channels in front of it doubled."""
    graph = base.copy()
    act = graph.producer("relu_1")
    assert act is not None
    graph.replace_op(replace(act, kind="clip", attrs={"min": 0.0, "max": 0.4}))
    for name in ("depth.weight", "depth.bias"):
        value = graph.value(name)
        assert value.const is not None
        graph.set_value(replace(value, const=value.const * 2))
    return graph


def test_values_of_the_model_before_any_pass_in_the_scales_of_the_graph() -> None:
    quantizer = mixed()
    base, reference = quantizer.base, limited(quantizer.base)
    assert quantizer.graph is not None
    layers = {layer.op: layer for layer in layers_of(quantizer.graph)}
    layer = layers["depth"]
    with Vault() as vault:
        samples = Samples(vault, True)
        samples.add({"x": images(40)})
        chunks = [list(range(32)), [33, 39]]
        aims = Aims(base, reference, [layer], samples, chunks, vault, CPU)
        aims.prepare(layer)
        found = aims.wanted(layer, 1)
        aims.release()
        aims.close()
    name = base.op("depth").outputs[0]
    program = Program(base, [name])
    exact = program.run({"x": images(40)[[33, 39]]}, constants_of(program, CPU))[name]
    torch.testing.assert_close(found, torch.clamp_max(exact, 0.2))


def test_without_a_reference_values_are_those_of_the_graph() -> None:
    quantizer = mixed()
    assert quantizer.graph is not None
    (layer,) = (layer for layer in layers_of(quantizer.graph) if layer.op == "point")
    assert names_of(quantizer.base, [layer]) == [quantizer.base.op("point").outputs[0], "relu"]
    with Vault() as vault:
        samples = Samples(vault, True)
        samples.add({"x": images(8)})
        aims = Aims(quantizer.base, quantizer.base, [layer], samples, [[0, 3]], vault, CPU)
        aims.prepare(replace(layer, beside="relu"))
        program = Program(quantizer.base, ["relu", quantizer.base.op("point").outputs[0]])
        want = program.run({"x": images(8)[[0, 3]]}, constants_of(program, CPU))
        assert torch.equal(aims.read("relu", 0), want["relu"])
        assert torch.equal(aims.wanted(layer, 0), want[quantizer.base.op("point").outputs[0]])

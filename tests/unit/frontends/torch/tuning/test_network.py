from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.tuning.kept import Samples, Vault  # noqa: E402
from quantforge.frontends.torch.tuning.network import Targets, tunables, tune_network  # noqa: E402
from quantforge.frontends.torch.tuning.options import Schedule  # noqa: E402
from quantforge.graph import Graph, Op, Value  # noqa: E402
from tests.unit.frontends.torch.tuning.nets import CPU, images, mixed, shared  # noqa: E402


def kept(vault: Vault, cut: bool = True) -> Samples:
    samples = Samples(vault, cut)
    for batch in images().split(16):
        samples.add({"x": batch})
    return samples


@pytest.mark.parametrize("cut", [True, False])
def test_the_outputs_come_nearer(cut: bool) -> None:
    quantizer = mixed()
    graph = quantizer.graph
    assert graph is not None
    with Vault() as vault:
        samples = kept(vault, cut)
        targets = Targets(quantizer.base, samples, vault, CPU)
        units = list(range(samples.units))
        chunks = [[unit] for unit in units]
        schedule = Schedule(epochs=8, batch=12, weight_rate=0.01, bias_rate=0.02)
        found = [g for g in tune_network(graph, targets, samples, units, schedule, 0, CPU) if g is not None]
        assert len(found) == 8
        before, after = targets.measure(graph, chunks), targets.measure(found[-1], chunks)
        assert after < 0.8 * before


def test_the_loss_of_the_float_network_is_none() -> None:
    quantizer = mixed()
    with Vault() as vault:
        samples = kept(vault)
        targets = Targets(quantizer.base, samples, vault, CPU)
        assert targets.measure(quantizer.base, [[0, 1], [40]]) == pytest.approx(0, abs=1e-9)


def test_outputs_without_an_axis_for_samples_make_batches_units() -> None:
    base = mixed().base
    last = base.ops[-1]
    turn = Op("transpose", "turn", last.outputs, ("rows",), {"order": (1, 0)})
    turned = Graph("turned", base.values, (*base.ops, turn), base.inputs, ("rows",), base.native)
    turned.set_value(Value("rows", (5, None)))
    with Vault() as vault:
        samples = kept(vault)
        targets = Targets(turned, samples, vault, CPU)
        assert not samples.cut
        assert targets.wanted([1])[0].shape == (5, 16)


def test_shared_weights_are_tuned_once() -> None:
    graph = shared()[0].graph
    assert graph is not None
    weights, biases = tunables(graph, CPU)
    assert [item.name for item in weights] == ["first.weight", "both.weight"]
    assert len(biases) == 4  # each layer has a copy of its own

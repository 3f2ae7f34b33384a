from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.module import QuantizedModule  # noqa: E402
from quantforge.frontends.torch.training.finish import quantized_graph  # noqa: E402
from tests.unit.frontends.torch.training.networks import images, small, steps, trainer  # noqa: E402


def test_mixed_widths_follow_the_readers() -> None:
    made = trainer(4, 8, 4)
    bits = {name: group.rule.format.bits for group in made.places.groups for name in group.values}  # type: ignore[union-attr]
    assert bits["x"] == 4  # read by a convolution alone
    assert bits["act"] == 8 and bits["conv2.input"] == 4  # read by an add too
    assert bits["bn2"] == bits["act_1"] == bits["fc"] == 8
    assert made.structure.folded.op("conv2").inputs[0] == "conv2.input"


def test_mixed_widths_train_and_deploy() -> None:
    module = trainer(4, 8, 4).trainable()
    losses = steps(module, 60)
    assert sum(losses[-10:]) < sum(losses[:10]) - 0.2
    module.eval()
    deployed = QuantizedModule(quantized_graph(module), small().forward)
    assert torch.equal(deployed(images()), module(images()))

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.frontends.torch.training.trainer import ModuleTrainer  # noqa: E402
from quantforge.frontends.torch.training.widths import training_recipe  # noqa: E402
from tests.unit.frontends.torch.training.networks import images, small, trainer  # noqa: E402


def close(found: torch.Tensor | None, want: torch.Tensor | None) -> None:
    assert found is not None and want is not None
    torch.testing.assert_close(found, want, rtol=1e-3, atol=1e-5)


def test_without_quantizers_training_is_that_of_the_float_module() -> None:
    model, module = small(), trainer().trainable()
    model.drop.p = 0.0
    module.disable_warmup()
    module.disable_quant()
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    for network in (model.train(), module.train()):
        network(images()).square().sum().backward()
    for name in (
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "conv2.weight",
        "bn2.weight",
        "bn2.bias",
        "fc.weight",
    ):
        close(module.get_parameter(name).grad, model.get_parameter(name).grad)
    for name, want in model.named_buffers():
        close(module.get_buffer(name).float(), want.float())


def test_frozen_statistics_stay() -> None:
    module = trainer().trainable()
    module(images())
    module.train().freeze_bn_stats()
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    trained = module(images())
    assert all(torch.equal(buffer, before[name]) for name, buffer in module.named_buffers())
    assert trained.requires_grad


class Alone(nn.Module):
    """A normalization that cannot be folded, with an average over all batches."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.norm = nn.Linear(6, 6), nn.BatchNorm1d(5, momentum=None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(torch.relu(self.fc(x)))


def test_a_normalization_that_stays_one() -> None:
    model = Alone()
    x = torch.randn(8, 5, 6)
    module = ModuleTrainer(copy.deepcopy(model), x, None, training_recipe(8, 8)).trainable()
    module.disable_warmup()
    module.disable_quant()
    for network in (model.train(), module.train()):
        for rows in (x, x + 1):
            network(rows)
    for name, want in model.named_buffers():
        close(module.get_buffer(name).float(), want.float())

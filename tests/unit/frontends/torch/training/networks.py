"""Small networks that the tests of training use."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from quantforge.frontends.torch.training.module import TrainableModule
from quantforge.frontends.torch.training.trainer import ModuleTrainer
from quantforge.frontends.torch.training.widths import training_recipe


class Small(nn.Module):
    """Functional calls, a residual `+`, a module called twice, a depthwise convolution with a bias, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.bn2, self.act = nn.BatchNorm2d(8, momentum=0.3), nn.ReLU()
        self.drop, self.fc = nn.Dropout(0.2), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.bn1(self.conv1(x)))
        x = self.act(self.bn2(self.conv2(x)) + x)
        return self.fc(self.drop(functional.adaptive_avg_pool2d(x, 1).flatten(1)))


def images(count: int = 16) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def labels(count: int = 16) -> torch.Tensor:
    return torch.arange(count) % 4


def small() -> Small:
    torch.manual_seed(0)
    model = Small()
    model.train()
    with torch.no_grad():
        for _ in range(5):
            model(images(64))
    return model.eval()


def trainer(weight_bits: int = 8, activation_bits: int = 8, mixed: int | None = None) -> ModuleTrainer:
    recipe = training_recipe(weight_bits, activation_bits)
    return ModuleTrainer(small(), images(1), None, recipe, mixed)


def steps(module: TrainableModule, count: int) -> list[float]:
    """Train for some steps; the losses."""
    torch.manual_seed(0)
    optimizer: Any = torch.optim.Adam(module.parameters(), 1e-2)
    losses = []
    module.train()
    for _ in range(count):
        optimizer.zero_grad()
        loss = functional.cross_entropy(module(images()), labels())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses

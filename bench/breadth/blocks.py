"""Pieces that several families are built from."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def conv_bn(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: nn.Module | None = None
) -> nn.Sequential:
    """Convolution, batch normalization and, unless it is an Identity, an activation (ReLU by default)."""
    parts: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True) if act is None else act,
    ]
    return nn.Sequential(*parts)


def linear_conv(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution and batch normalization without activation."""
    return conv_bn(inputs, outputs, kernel, stride, groups, nn.Identity())


class Classifier(nn.Module):
    """Features, their mean over all positions, one linear layer."""

    def __init__(self, features: nn.Module, channels: int, classes: int = 10) -> None:
        super().__init__()
        self.features = features
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Any) -> Any:
        x = self.features(x)
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


class SqueezeExcite(nn.Module):
    """Scales channels by what a small network makes of their means."""

    def __init__(
        self, channels: int, ratio: int = 4, act: nn.Module | None = None, gate: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, max(channels // ratio, 4), 1)
        self.up = nn.Conv2d(max(channels // ratio, 4), channels, 1)
        self.act, self.gate = act or nn.ReLU(), gate or nn.Sigmoid()

    def forward(self, x: Any) -> Any:
        means = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.up(self.act(self.down(means))))

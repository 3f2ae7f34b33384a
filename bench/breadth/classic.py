"""AlexNet, VGG, SqueezeNet, DenseNet, the Inceptions, Xception."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bench.breadth.blocks import Classifier, conv_bn


class AlexNet(nn.Module):
    """Five convolutions and three linear layers, pooled to a fixed grid in between."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (
            (3, 16, 11, 4, 2),
            (16, 32, 5, 1, 2),
            (32, 48, 3, 1, 1),
            (48, 32, 3, 1, 1),
            (32, 32, 3, 1, 1),
        )
        convs = [nn.Sequential(nn.Conv2d(*size), nn.ReLU(inplace=True)) for size in sizes]
        pool = nn.MaxPool2d(3, 2)
        self.features = nn.Sequential(convs[0], pool, convs[1], pool, *convs[2:])
        self.pool = nn.AdaptiveAvgPool2d((3, 3))
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(288, 64), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(64, 64), nn.ReLU(),
            nn.Linear(64, 10),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


class Vgg(nn.Module):
    """VGG-16 with batch normalization, an eighth as wide."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width, depth in ((8, 2), (16, 2), (32, 3), (64, 3), (64, 3)):
            for _ in range(depth):
                layers.append(conv_bn(inputs, width))
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(64 * 4, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, 10))

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x).view(x.size(0), -1))


class Fire(nn.Module):
    """SqueezeNet's module: few channels, then 1x1 beside 3x3."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.one, self.three = nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.one(x)), torch.relu(self.three(x))], 1)


class SqueezeNet(nn.Module):
    """Version 1.1: the last convolution makes the classes."""

    def __init__(self) -> None:
        super().__init__()
        pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2), nn.ReLU(), pool, Fire(32, 8, 32), Fire(64, 8, 32), pool, Fire(64, 16, 64),
            Fire(128, 16, 64), pool, Fire(128, 24, 96), Fire(192, 32, 128),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Conv2d(256, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x)).flatten(1)


class DenseLayer(nn.Module):
    """Reads everything before it, and appends its own channels."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth), nn.ReLU(), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        return torch.cat([x, self.body(x)], 1)


def densenet() -> nn.Module:
    """DenseNet-BC with three blocks."""
    layers: list[nn.Module] = [conv_bn(3, 24, 7, 2), nn.MaxPool2d(3, 2, 1)]
    channels = 24
    for depth in (4, 6, 8):
        for _ in range(depth):
            layers.append(DenseLayer(channels, 12))
            channels += 12
        layers += [
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels // 2, 1),
            nn.AvgPool2d(2),
        ]
        channels //= 2
    return Classifier(nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU()), channels)


class Branches(nn.Module):
    """Several paths, joined by channels."""

    def __init__(self, *paths: nn.Module) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x: Any) -> Any:
        return torch.cat([path(x) for path in self.paths], 1)


def _inception1(inputs: int, width: int) -> nn.Module:
    return Branches(
        conv_bn(inputs, width, 1),
        nn.Sequential(conv_bn(inputs, width, 1), conv_bn(width, 2 * width, 3)),
        nn.Sequential(conv_bn(inputs, width // 2, 1), conv_bn(width // 2, width, 5)),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn(inputs, width, 1)),
    )


def googlenet() -> nn.Module:
    """Inception v1."""
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    layers = [
        conv_bn(3, 16, 7, 2), pool, conv_bn(16, 16, 1), conv_bn(16, 48), pool, _inception1(48, 16),
        _inception1(80, 24), pool, _inception1(120, 24), _inception1(120, 32),
    ]  # fmt: skip
    return Classifier(nn.Sequential(*layers), 160)


def _tall(inputs: int, outputs: int, kernel: tuple[int, int]) -> nn.Module:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3),
        nn.ReLU(),
    )


def inception3() -> nn.Module:
    """Inception v3: average pooling in the branches, 1x7 and 7x1, and grids halved beside a pool."""
    a = Branches(
        conv_bn(48, 16, 1),
        nn.Sequential(conv_bn(48, 12, 1), conv_bn(12, 16, 5)),
        nn.Sequential(conv_bn(48, 16, 1), conv_bn(16, 24), conv_bn(24, 24)),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_bn(48, 8, 1)),
    )
    halve = Branches(conv_bn(64, 64, 3, 2), nn.MaxPool2d(3, 2, 1))
    b = Branches(
        conv_bn(128, 32, 1),
        nn.Sequential(conv_bn(128, 24, 1), _tall(24, 24, (1, 7)), _tall(24, 32, (7, 1))),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_bn(128, 32, 1)),
    )
    c = Branches(
        conv_bn(96, 32, 1),
        nn.Sequential(conv_bn(96, 48, 1), Branches(_tall(48, 32, (1, 3)), _tall(48, 32, (3, 1)))),
    )
    stem = nn.Sequential(conv_bn(3, 16, 3, 2), conv_bn(16, 32), nn.MaxPool2d(3, 2), conv_bn(32, 48))
    return Classifier(nn.Sequential(stem, a, halve, b, c, nn.Dropout()), 96)


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Depthwise and pointwise without an activation in between."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
    )


class XceptionBlock(nn.Module):
    """Separable convolutions behind ReLUs, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        body = [nn.ReLU(), separable(inputs, outputs), nn.ReLU(), separable(outputs, outputs)]
        self.body = nn.Sequential(*body, *([nn.MaxPool2d(3, stride, 1)] if stride > 1 else []))
        same = inputs == outputs and stride == 1
        self.skip = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride, act=nn.Identity())

    def forward(self, x: Any) -> Any:
        return self.body(x) + self.skip(x)


def xception() -> nn.Module:
    """Xception, narrow."""
    blocks = [
        XceptionBlock(16, 32, 2),
        XceptionBlock(32, 64, 2),
        *(XceptionBlock(64, 64, 1) for _ in range(3)),
    ]
    return Classifier(nn.Sequential(conv_bn(3, 16, 3, 2), *blocks, separable(64, 96), nn.ReLU()), 96)

"""Residual networks: ResNet, ResNeXt, Wide ResNet, SE-ResNet, RegNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from bench.breadth.blocks import Classifier, SqueezeExcite, conv_bn, linear_conv


class Basic(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, excite: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(inputs, outputs, 3, stride), linear_conv(outputs, outputs, 3))
        self.excite = SqueezeExcite(outputs) if excite else nn.Identity()
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else linear_conv(inputs, outputs, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        return self.relu(self.excite(self.body(x)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 in groups, 1x1 beside a shortcut."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, groups: int = 1, inner: int = 0, excite: bool = False
    ) -> None:
        super().__init__()
        inner = inner or outputs // 4
        self.body = nn.Sequential(
            conv_bn(inputs, inner, 1), conv_bn(inner, inner, 3, stride, groups), linear_conv(inner, outputs)
        )
        self.excite = SqueezeExcite(outputs) if excite else nn.Identity()
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else linear_conv(inputs, outputs, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        out = self.excite(self.body(x))
        out += self.shortcut(x)
        return self.relu(out)


def resnet(
    depths: Sequence[int],
    widths: Sequence[int],
    bottleneck: bool,
    groups: int = 1,
    wide: int = 1,
    excite: bool = False,
) -> nn.Module:
    """A stem, then stages of `depths` blocks, `widths` channels each."""
    stem = [conv_bn(3, 16, 7, 2), nn.MaxPool2d(3, 2, 1)]
    blocks: list[nn.Module] = []
    inputs = 16
    for index, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        for block in range(depth):
            stride = 2 if index and block == 0 else 1
            if bottleneck:
                inner = width * wide // 4
                blocks.append(Bottleneck(inputs, width, stride, groups, inner, excite))
            else:
                blocks.append(Basic(inputs, width, stride, excite))
            inputs = width
    return Classifier(nn.Sequential(*stem, *blocks), inputs)


def resnet18() -> nn.Module:
    return resnet((2, 2, 2, 2), (16, 32, 64, 128), False)


def resnet50() -> nn.Module:
    return resnet((3, 4, 6, 3), (64, 96, 128, 192), True)


def resnext50() -> nn.Module:
    return resnet((3, 4, 6, 3), (64, 96, 128, 192), True, groups=4, wide=2)


def wide_resnet() -> nn.Module:
    return resnet((2, 2, 2, 2), (64, 96, 128, 192), True, wide=4)


def se_resnet() -> nn.Module:
    return resnet((2, 2, 2, 2), (16, 32, 64, 128), False, excite=True)


def regnet() -> nn.Module:
    """RegNetY: group widths instead of numbers of groups, bottleneck ratio 1, squeeze and excite."""
    blocks: list[nn.Module] = [conv_bn(3, 16, 3, 2)]
    inputs = 16
    for depth, width in zip((1, 2, 4, 2), (24, 48, 96, 144), strict=True):
        for block in range(depth):
            blocks.append(Bottleneck(inputs, width, 2 if block == 0 else 1, width // 24, width, excite=True))
            inputs = width
    return Classifier(nn.Sequential(*blocks), inputs)

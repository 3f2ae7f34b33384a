"""Networks for phones: MobileNets, MnasNet, EfficientNet, ShuffleNetV2, GhostNet."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bench.breadth.blocks import Classifier, SqueezeExcite, conv_bn, linear_conv


def mobilenet1() -> nn.Module:
    """Depthwise and pointwise convolutions in turn."""
    layers = [conv_bn(3, 16, 3, 2)]
    for inputs, outputs, stride in (
        (16, 32, 1),
        (32, 48, 2),
        (48, 48, 1),
        (48, 96, 2),
        (96, 96, 1),
        (96, 128, 2),
    ):
        layers += [conv_bn(inputs, inputs, 3, stride, inputs), conv_bn(inputs, outputs, 1)]
    return Classifier(nn.Sequential(*layers), 128)


class Inverted(nn.Module):
    """Wide inside, narrow outside; squeeze and excite where asked for."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, act: nn.Module, expand: int = 4, kernel: int = 3,
        excite: nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        inner = inputs * expand
        parts: list[nn.Module] = [conv_bn(inputs, inner, 1, act=act)] if expand > 1 else []
        parts.append(conv_bn(inner, inner, kernel, stride, inner, act))
        if excite is not None:
            parts.append(SqueezeExcite(inner, 4 * expand, act, excite))
        self.body = nn.Sequential(*parts, linear_conv(inner, outputs))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Any) -> Any:
        return x + self.body(x) if self.residual else self.body(x)


_STAGES = ((16, 16, 1), (16, 24, 2), (24, 24, 1), (24, 40, 2), (40, 40, 1), (40, 64, 2), (64, 64, 1))


def _inverted(act: nn.Module, gate: nn.Module | None, kernels: tuple[int, ...]) -> nn.Module:
    blocks: list[nn.Module] = [conv_bn(3, 16, 3, 2, act=act)]
    for index, (inputs, outputs, stride) in enumerate(_STAGES):
        kernel = kernels[index % len(kernels)]
        blocks.append(Inverted(inputs, outputs, stride, act, 1 if index == 0 else 4, kernel, gate))
    return Classifier(nn.Sequential(*blocks, conv_bn(64, 128, 1, act=act), nn.Dropout(0.2)), 128)


def mobilenet2() -> nn.Module:
    return _inverted(nn.ReLU6(inplace=True), None, (3,))


def mobilenet3() -> nn.Module:
    return _inverted(nn.Hardswish(), nn.Hardsigmoid(), (3, 5))


def mnasnet() -> nn.Module:
    return _inverted(nn.ReLU(inplace=True), nn.Sigmoid(), (3, 5, 5))


def efficientnet() -> nn.Module:
    return _inverted(nn.SiLU(inplace=True), nn.Sigmoid(), (3, 3, 5))


class ShuffleUnit(nn.Module):
    """Half of the channels go past, the other half through; then both are interleaved."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half, source = outputs // 2, inputs if stride == 2 else inputs // 2
        self.left = (
            nn.Sequential(linear_conv(inputs, inputs, 3, 2, inputs), conv_bn(inputs, half, 1))
            if stride == 2
            else None
        )
        self.right = nn.Sequential(
            conv_bn(source, half, 1), linear_conv(half, half, 3, stride, half), conv_bn(half, half, 1)
        )

    def forward(self, x: Any) -> Any:
        if self.left is None:
            past, through = x.chunk(2, dim=1)
            out = torch.cat((past, self.right(through)), 1)
        else:
            out = torch.cat((self.left(x), self.right(x)), 1)
        n, c, h, w = out.size()
        return out.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


def shufflenet2() -> nn.Module:
    units = [ShuffleUnit(24, 48, 2), ShuffleUnit(48, 48, 1), ShuffleUnit(48, 96, 2), ShuffleUnit(96, 96, 1)]
    layers = [conv_bn(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1), *units, conv_bn(96, 128, 1)]
    return Classifier(nn.Sequential(*layers), 128)


class Ghost(nn.Module):
    """Some channels by a convolution, the others cheaply from those."""

    def __init__(self, inputs: int, outputs: int, act: bool = True) -> None:
        super().__init__()
        half = (outputs + 1) // 2
        self.outputs = outputs
        self.primary = conv_bn(inputs, half, 1) if act else linear_conv(inputs, half)
        self.cheap = conv_bn(half, half, 3, 1, half) if act else linear_conv(half, half, 3, 1, half)

    def forward(self, x: Any) -> Any:
        first = self.primary(x)
        return torch.cat([first, self.cheap(first)], 1)[:, : self.outputs]


class GhostBottleneck(nn.Module):
    """Ghost modules around a strided depthwise convolution and squeeze and excite."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int) -> None:
        super().__init__()
        down = [linear_conv(inner, inner, 3, 2, inner)] if stride == 2 else []
        self.body = nn.Sequential(
            Ghost(inputs, inner),
            *down,
            SqueezeExcite(inner, 4, None, nn.Hardsigmoid()),
            Ghost(inner, outputs, False),
        )
        same = stride == 1 and inputs == outputs
        self.skip = (
            nn.Identity()
            if same
            else nn.Sequential(linear_conv(inputs, inputs, 3, stride, inputs), linear_conv(inputs, outputs))
        )

    def forward(self, x: Any) -> Any:
        return self.body(x) + self.skip(x)


def ghostnet() -> nn.Module:
    sizes = ((16, 16, 16, 1), (16, 48, 25, 2), (25, 72, 25, 1), (25, 72, 40, 2), (40, 120, 40, 1))
    blocks = [GhostBottleneck(*size) for size in sizes]
    return Classifier(nn.Sequential(conv_bn(3, 16, 3, 2), *blocks, conv_bn(40, 96, 1)), 96)

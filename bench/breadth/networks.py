"""The list: every architecture with what it is fed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bench.breadth import classic, mobile, residual
from bench.breadth.row import Network


def normal(*shape: int) -> Callable[[int, torch.Generator], torch.Tensor]:
    """Normal numbers of `shape` behind the batch."""
    return lambda batch, generator: torch.randn(batch, *shape, generator=generator)


def integers(limit: int, *shape: int) -> Callable[[int, torch.Generator], torch.Tensor]:
    """Integers in 1 to `limit` - 1."""
    return lambda batch, generator: torch.randint(1, limit, (batch, *shape), generator=generator)


def image(name: str, make: Callable[[], nn.Module], size: int = 64, **more: Any) -> Network:
    """A network whose forward takes one image `x`."""
    return Network(name, make, {"x": normal(3, size, size)}, **more)


def networks() -> list[Network]:
    """All of them, in the order of the table."""
    return [*convolutional()]


def convolutional() -> list[Network]:
    """Classifiers of images."""
    return [
        image("ResNet-18", residual.resnet18),
        image("ResNet-50", residual.resnet50),
        image("ResNeXt-50", residual.resnext50),
        image("Wide ResNet", residual.wide_resnet),
        image("SE-ResNet", residual.se_resnet),
        image("RegNetY", residual.regnet),
        image("AlexNet", classic.AlexNet, 96),
        image("VGG-16 BN", classic.Vgg),
        image("SqueezeNet 1.1", classic.SqueezeNet),
        image("DenseNet-BC", classic.densenet),
        image("GoogLeNet", classic.googlenet),
        image("Inception v3", classic.inception3),
        image("Xception", classic.xception),
        image("MobileNetV1", mobile.mobilenet1),
        image("MobileNetV2", mobile.mobilenet2),
        image("MobileNetV3", mobile.mobilenet3),
        image("MnasNet", mobile.mnasnet),
        image("EfficientNet", mobile.efficientnet),
        image("ShuffleNetV2", mobile.shufflenet2),
        image("GhostNet", mobile.ghostnet),
    ]

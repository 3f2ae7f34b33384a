"""A value per pixel: segmentation, super-resolution, autoencoders."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from bench.breadth.blocks import conv_bn
from bench.breadth.mobile import mobilenet1


class UNet(nn.Module):
    """Down and up again, with what was there before beside it."""

    def __init__(self, transposed: bool = True) -> None:
        super().__init__()
        widths = (8, 16, 32, 64)
        self.down = nn.ModuleList(
            nn.Sequential(conv_bn(i, o), conv_bn(o, o)) for i, o in zip((3, *widths), widths, strict=False)
        )
        self.raise_ = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 2, 2) if transposed else nn.Upsample(scale_factor=2, mode="bilinear")
            for i, o in ((64, 32), (32, 16), (16, 8))
        )
        extra = (32, 16, 8) if transposed else (64, 32, 16)
        self.up = nn.ModuleList(
            nn.Sequential(conv_bn(o + e, o), conv_bn(o, o)) for o, e in zip((32, 16, 8), extra, strict=True)
        )
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, x: Any) -> Any:
        kept = []
        for index, block in enumerate(self.down):
            x = block(x if index == 0 else functional.max_pool2d(x, 2))
            kept.append(x)
        for rise, block, beside in zip(self.raise_, self.up, reversed(kept[:-1]), strict=True):
            x = block(torch.cat([rise(x), beside], 1))
        return self.head(x)


def unet() -> nn.Module:
    return UNet()


def unet_bilinear() -> nn.Module:
    return UNet(transposed=False)


class Pyramid(nn.Module):
    """ASPP: the same features at several dilations, and their mean, spread again."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            [
                conv_bn(inputs, outputs, 1),
                *(
                    nn.Sequential(
                        nn.Conv2d(inputs, outputs, 3, padding=rate, dilation=rate),
                        nn.BatchNorm2d(outputs),
                        nn.ReLU(),
                    )
                    for rate in (2, 4, 6)
                ),
            ]
        )
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1), nn.ReLU())
        self.join = conv_bn(5 * outputs, outputs, 1)

    def forward(self, x: Any) -> Any:
        parts = [path(x) for path in self.paths]
        spread = functional.interpolate(self.mean(x), size=x.shape[-2:], mode="bilinear", align_corners=False)
        return self.join(torch.cat([*parts, spread], 1))


class DeepLab(nn.Module):
    """DeepLabV3 on a MobileNet; the result at the size of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.features = mobilenet1().features
        self.pyramid, self.head = Pyramid(128, 32), nn.Conv2d(32, 4, 1)

    def forward(self, x: Any) -> dict[str, Any]:
        found = self.head(self.pyramid(self.features(x)))
        return {"out": functional.interpolate(found, size=x.shape[-2:], mode="bilinear", align_corners=False)}


class EspcnLike(nn.Module):
    """Super-resolution by pixel shuffle, added to the image resized bicubically."""

    def __init__(self, bicubic: bool) -> None:
        super().__init__()
        self.bicubic = bicubic
        self.body = nn.Sequential(
            nn.Conv2d(3, 24, 5, padding=2), nn.PReLU(24), nn.Conv2d(24, 16, 3, padding=1), nn.PReLU(),
            nn.Conv2d(16, 12, 3, padding=1), nn.PixelShuffle(2),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        found = self.body(x)
        if self.bicubic:
            found = found + functional.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
        return torch.clamp(found, 0.0, 1.0)


def espcn() -> nn.Module:
    return EspcnLike(bicubic=False)


def super_resolution() -> nn.Module:
    return EspcnLike(bicubic=True)


class Autoencoder(nn.Module):
    """Strided convolutions down to a vector, transposed ones back up."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.LeakyReLU(0.1), nn.Conv2d(16, 32, 3, 2, 1), nn.LeakyReLU(0.1), nn.Flatten(),
            nn.Linear(32 * 16 * 16, 32),
        )  # fmt: skip
        self.decode = nn.Sequential(
            nn.Linear(32, 32 * 16 * 16), nn.ReLU(), nn.Unflatten(1, (32, 16, 16)),
            nn.ConvTranspose2d(32, 16, 3, 2, 1, output_padding=1), nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 2, 1),
            nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        return self.decode(self.encode(x))


class Generator(nn.Module):
    """Style transfer: reflection padding, instance normalization, residual blocks."""

    def __init__(self) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
            return nn.Sequential(
                nn.ReflectionPad2d(1),
                nn.Conv2d(inputs, outputs, 3, stride),
                nn.InstanceNorm2d(outputs, affine=True),
            )

        self.down = nn.Sequential(block(3, 16), nn.ReLU(), block(16, 32, 2), nn.ReLU())
        self.same = nn.ModuleList(nn.Sequential(block(32, 32), nn.ReLU(), block(32, 32)) for _ in range(2))
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2), block(32, 16), nn.ReLU(), nn.Conv2d(16, 3, 1), nn.Tanh()
        )

    def forward(self, x: Any) -> Any:
        x = self.down(x)
        for block in self.same:
            x = x + block(x)
        return self.up(x)

"""Detectors: SSD, YOLO with and without anchors, RetinaNet and PAN on a pyramid, CenterNet."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from bench.breadth.blocks import conv_bn, linear_conv


class Backbone(nn.Module):
    """Features at strides 4, 8, 16 and 32."""

    def __init__(self, widths: tuple[int, ...] = (16, 24, 48, 96), act: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.stem = conv_bn(3, 16, 3, 2, act=act())
        self.stages = nn.ModuleList(
            nn.Sequential(conv_bn(i, o, 3, 2, act=act()), conv_bn(o, o, act=act()))
            for i, o in zip((16, *widths), widths, strict=False)
        )

    def forward(self, x: Any) -> list[Any]:
        x, found = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


class Ssd(nn.Module):
    """Boxes and classes of every position, flattened and joined."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.classes, self.body = classes, Backbone()
        self.boxes = nn.ModuleList(nn.Conv2d(width, 4 * 4, 3, padding=1) for width in (24, 48, 96))
        self.scores = nn.ModuleList(nn.Conv2d(width, 4 * classes, 3, padding=1) for width in (24, 48, 96))

    def forward(self, x: Any) -> Any:
        boxes, scores = [], []
        for feature, box, score in zip(self.body(x)[1:], self.boxes, self.scores, strict=True):
            boxes.append(box(feature).permute(0, 2, 3, 1).reshape(x.size(0), -1, 4))
            scores.append(score(feature).permute(0, 2, 3, 1).reshape(x.size(0), -1, self.classes))
        return torch.cat(boxes, 1), torch.softmax(torch.cat(scores, 1), -1)


class Csp(nn.Module):
    """Half through residual blocks, half past them."""

    def __init__(self, inputs: int, outputs: int, act: type[nn.Module]) -> None:
        super().__init__()
        half = outputs // 2
        self.one, self.two = conv_bn(inputs, half, 1, act=act()), conv_bn(inputs, half, 1, act=act())
        self.body = nn.Sequential(conv_bn(half, half, 1, act=act()), conv_bn(half, half, act=act()))
        self.join = conv_bn(2 * half, outputs, 1, act=act())

    def forward(self, x: Any) -> Any:
        x1 = self.one(x)
        return self.join(torch.cat((x1 + self.body(x1), self.two(x)), 1))


class Spp(nn.Module):
    """One map beside its maxima over growing windows."""

    def __init__(self, channels: int, act: type[nn.Module]) -> None:
        super().__init__()
        self.pools = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in (3, 5, 7))
        self.join = conv_bn(4 * channels, channels, 1, act=act())

    def forward(self, x: Any) -> Any:
        return self.join(torch.cat([x, *(pool(x) for pool in self.pools)], 1))


class Focus(nn.Module):
    """Every second pixel of both axes into channels."""

    def __init__(self, outputs: int, act: type[nn.Module]) -> None:
        super().__init__()
        self.conv = conv_bn(12, outputs, act=act())

    def forward(self, x: Any) -> Any:
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        return self.conv(torch.cat(parts, 1))


class YoloNeck(nn.Module):
    """Focus, three stages, SPP, and one way up by nearest upsampling."""

    def __init__(self, act: type[nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Sequential(Focus(16, act), conv_bn(16, 32, 3, 2, act=act()), Csp(32, 32, act))
        self.middle = nn.Sequential(conv_bn(32, 64, 3, 2, act=act()), Csp(64, 64, act))
        self.top = nn.Sequential(
            conv_bn(64, 96, 3, 2, act=act()), Spp(96, act), conv_bn(96, 64, 1, act=act())
        )
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.join = Csp(128, 64, act)

    def forward(self, x: Any) -> tuple[Any, Any]:
        middle = self.middle(self.stem(x))
        top = self.top(middle)
        return self.join(torch.cat([self.up(top), middle], 1)), top


class YoloAnchors(nn.Module):
    """YOLOv3 and v5: the head decodes boxes by a grid and anchors."""

    def __init__(self, act: type[nn.Module] = nn.SiLU, classes: int = 3) -> None:
        super().__init__()
        self.neck, self.width = YoloNeck(act), classes + 5
        self.heads = nn.ModuleList(nn.Conv2d(64, 3 * self.width, 1) for _ in range(2))
        self.register_buffer("anchors", torch.rand(2, 1, 3, 1, 1, 2) * 40 + 8)

    def forward(self, x: Any) -> Any:
        found = []
        for level, (feature, head, stride) in enumerate(zip(self.neck(x), self.heads, (8, 16), strict=True)):
            y = head(feature)
            n, _, h, w = y.shape
            y = y.view(n, 3, self.width, h, w).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
            rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            grid = torch.stack((columns, rows), 2).view(1, 1, h, w, 2).float()
            centers = (y[..., 0:2] * 2 - 0.5 + grid) * stride
            sizes = (y[..., 2:4] * 2) ** 2 * self.anchors[level]
            found.append(torch.cat((centers, sizes, y[..., 4:]), -1).view(n, -1, self.width))
        return torch.cat(found, 1)


class Leaky(nn.LeakyReLU):
    """The activation of YOLOv3, 0.1 below zero."""

    def __init__(self) -> None:
        super().__init__(0.1)


def yolo3() -> nn.Module:
    return YoloAnchors(Leaky)


def yolo5() -> nn.Module:
    return YoloAnchors()


class YoloFree(nn.Module):
    """YOLOv8: distances to four sides as distributions, from every point."""

    def __init__(self, classes: int = 3, bins: int = 8) -> None:
        super().__init__()
        self.neck, self.bins = YoloNeck(nn.SiLU), bins
        self.boxes = nn.ModuleList(nn.Conv2d(64, 4 * bins, 1) for _ in range(2))
        self.scores = nn.ModuleList(nn.Conv2d(64, classes, 1) for _ in range(2))

    def forward(self, x: Any) -> Any:
        boxes, scores, points = [], [], []
        for feature, box, score, stride in zip(self.neck(x), self.boxes, self.scores, (8, 16), strict=True):
            boxes.append(box(feature).flatten(2))
            scores.append(score(feature).flatten(2))
            h, w = feature.shape[2:]
            rows, columns = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
            points.append(torch.stack((columns.flatten(), rows.flatten())) * stride)
        raw = torch.cat(boxes, 2)
        shares = raw.view(raw.shape[0], 4, self.bins, raw.shape[2]).softmax(2)
        distances = (shares * torch.arange(self.bins).view(1, 1, -1, 1)).sum(2) * 8
        near, far = distances.chunk(2, 1)
        point = torch.cat(points, 1).unsqueeze(0)
        low, high = point - near, point + far
        return torch.cat(((low + high) / 2, high - low, torch.cat(scores, 2).sigmoid()), 1)


class FeaturePyramid(nn.Module):
    """FPN, and PAN when it goes down again."""

    def __init__(self, widths: tuple[int, ...], channels: int, down: bool) -> None:
        super().__init__()
        self.side = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.smooth = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in widths)
        self.down = nn.ModuleList(conv_bn(channels, channels, 3, 2) for _ in widths[1:]) if down else None

    def forward(self, features: list[Any]) -> list[Any]:
        levels = [side(feature) for side, feature in zip(self.side, features, strict=True)]
        for index in range(len(levels) - 1, 0, -1):
            upper = functional.interpolate(levels[index], size=levels[index - 1].shape[-2:], mode="nearest")
            levels[index - 1] = levels[index - 1] + upper
        levels = [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]
        for index, down in enumerate(self.down or ()):
            levels[index + 1] = levels[index + 1] + down(levels[index])
        return levels


class RetinaNet(nn.Module):
    """One head, shared by all levels of the pyramid."""

    def __init__(self, down: bool = False, classes: int = 4) -> None:
        super().__init__()
        self.body, self.classes = Backbone(), classes
        self.pyramid = FeaturePyramid((24, 48, 96), 32, down)
        self.scores = nn.Sequential(
            nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 3 * classes, 3, 1, 1)
        )
        self.boxes = nn.Sequential(nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 12, 3, 1, 1))

    def forward(self, x: Any) -> dict[str, Any]:
        levels = self.pyramid(self.body(x)[1:])
        scores = [
            self.scores(level).permute(0, 2, 3, 1).reshape(len(x), -1, self.classes) for level in levels
        ]
        boxes = [self.boxes(level).permute(0, 2, 3, 1).reshape(len(x), -1, 4) for level in levels]
        return {"scores": torch.cat(scores, 1).sigmoid(), "boxes": torch.cat(boxes, 1)}


def retinanet() -> nn.Module:
    return RetinaNet()


def pan() -> nn.Module:
    return RetinaNet(down=True)


class CenterNet(nn.Module):
    """Centers are the local maxima of a heat map; sizes and offsets come from other heads."""

    def __init__(self, classes: int = 3, most: int = 8) -> None:
        super().__init__()
        self.body, self.most = Backbone(), most
        self.up = nn.Sequential(
            nn.ConvTranspose2d(96, 48, 4, 2, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
            nn.ConvTranspose2d(48, 24, 4, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        )  # fmt: skip
        self.heat = nn.Sequential(conv_bn(24, 24), nn.Conv2d(24, classes, 1))
        self.size = nn.Sequential(conv_bn(24, 24), linear_conv(24, 2))

    def forward(self, x: Any) -> tuple[Any, Any, Any]:
        x = self.up(self.body(x)[-1])
        heat = self.heat(x).sigmoid()
        heat = heat * (functional.max_pool2d(heat, 3, 1, 1) == heat).float()
        scores, places = torch.topk(heat.flatten(1), self.most)
        # what lies at the best places, not where they are: among equal scores the order is free
        return scores, heat.flatten(1).gather(1, places), self.size(x)

"""Small modules, written the way users write them."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402


class Residual(nn.Module):
    """Functional ReLU, an in-place add, a view of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Any) -> Any:
        x = functional.relu(self.bn1(self.conv1(x)))
        y = self.conv2(x)
        y += x
        y = functional.avg_pool2d(functional.relu(y), y.size(3))
        return self.head(y.view(y.size(0), -1))


class Twice(nn.Module):
    """One convolution called twice, and a linear layer that borrows another's weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight

    def forward(self, x: Any) -> Any:
        return self.second(self.first(self.conv(torch.relu(self.conv(x)))))


class Nested(nn.Module):
    """Two inputs, one of them by keyword; a dict of tensors, a tuple, a number and a size."""

    def forward(self, x: Any, *, other: Any) -> dict[str, Any]:
        high, low = (x * 2 + other).chunk(2, dim=1)
        return {"pair": (high, low.sigmoid()), "count": 3, "rows": x.shape[0], "sorted": torch.sort(x)[0]}


class Transformer(nn.Module):
    """Attention by torch's own module, a table, normalization and gelu."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.mix = nn.Linear(8, 8)

    def forward(self, tokens: Any) -> Any:
        x = self.table(tokens) + torch.arange(tokens.shape[1])[:, None] * 0.1
        x = self.norm(x + self.attention(x, x, x)[0])
        return functional.gelu(self.mix(x)).mean(1)


class Mixed(nn.Module):
    """One of many operators each."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.group, self.instance = nn.GroupNorm(2, 4), nn.InstanceNorm2d(4)
        self.prelu = nn.PReLU(4)
        self.dropout = nn.Dropout()

    def forward(self, x: Any) -> Any:
        y = self.prelu(self.instance(self.group(self.up(self.depthwise(x)))))
        y = functional.hardswish(y) + functional.silu(x) - functional.hardsigmoid(x)
        y = torch.cat([y, functional.pad(y, (1, -0, 0, 1))[:, :, 1:, :-1]], 1)
        y = functional.interpolate(y, scale_factor=2, mode="bilinear")
        y = functional.interpolate(functional.max_pool2d(y, 2), scale_factor=2)
        y = functional.leaky_relu(self.dropout(y), 0.2).clamp(-1, 4) / 2
        y = functional.pixel_shuffle(y, 2)
        z = functional.adaptive_avg_pool2d(y, 2).flatten(1)
        return functional.softmax(z, -1), y.transpose(1, 2)[:, 3, ..., ::2].amax(1).squeeze()

"""Sequences, volumes and patches without attention: TCN, WaveNet, LSTM, GRU, 3D convolutions, MLP-Mixer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Causal(nn.Module):
    """A dilated convolution that sees only the past, gated, with a residual and a skip."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.past = dilation
        self.filter = nn.Conv1d(channels, channels, 2, dilation=dilation)
        self.gate = nn.Conv1d(channels, channels, 2, dilation=dilation)
        self.skip, self.out = nn.Conv1d(channels, channels, 1), nn.Conv1d(channels, channels, 1)

    def forward(self, x: Any) -> tuple[Any, Any]:
        past = functional.pad(x, (self.past, 0))
        y = torch.tanh(self.filter(past)) * torch.sigmoid(self.gate(past))
        return x + self.out(y), self.skip(y)


class WaveNet(nn.Module):
    """Doubling dilations; the sum of the skips makes the output."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv1d(1, 16, 1)
        self.layers = nn.ModuleList(Causal(16, 2**index) for index in range(5))
        self.end = nn.Sequential(nn.ReLU(), nn.Conv1d(16, 16, 1), nn.ReLU(), nn.Conv1d(16, 32, 1))

    def forward(self, x: Any) -> Any:
        x, total = self.start(x), 0
        for layer in self.layers:
            x, skip = layer(x)
            total = total + skip
        return self.end(total)


class TcnBlock(nn.Module):
    """Two causal convolutions whose surplus is cut off, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.surplus = 2 * dilation
        self.one = nn.Conv1d(inputs, outputs, 3, padding=2 * dilation, dilation=dilation)
        self.two = nn.Conv1d(outputs, outputs, 3, padding=2 * dilation, dilation=dilation)
        self.down = nn.Conv1d(inputs, outputs, 1)

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.one(x)[:, :, : -self.surplus].contiguous())
        y = torch.relu(self.two(y)[:, :, : -self.surplus].contiguous())
        return torch.relu(y + self.down(x))


class Tcn(nn.Module):
    """Blocks of growing dilation; the last step is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(TcnBlock(4, 16, 1), TcnBlock(16, 16, 2), TcnBlock(16, 24, 4))
        self.fc = nn.Linear(24, 6)

    def forward(self, x: Any) -> Any:
        return functional.log_softmax(self.fc(self.body(x)[:, :, -1]), dim=1)


class Recurrent(nn.Module):
    """Words, a recurrent layer in both directions, classes from the last step."""

    def __init__(self, kind: type[nn.RNNBase], layers: int = 1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.cells = kind(16, 24, num_layers=layers, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(48, 5)

    def forward(self, words: Any) -> Any:
        found, _ = self.cells(self.embedding(words))
        return self.fc(found[:, -1])


def lstm() -> nn.Module:
    return Recurrent(nn.LSTM)


def gru() -> nn.Module:
    return Recurrent(nn.GRU)


class Volume(nn.Module):
    """C3D: convolutions and pools over time, height and width."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv3d(3, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(), nn.MaxPool3d((1, 2, 2)),
            nn.Conv3d(8, 16, 3, padding=1), nn.BatchNorm3d(16), nn.ReLU(), nn.MaxPool3d(2),
            nn.Conv3d(16, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1),
        )  # fmt: skip
        self.fc = nn.Linear(32, 5)

    def forward(self, x: Any) -> Any:
        return self.fc(self.features(x).flatten(1))


class MixerBlock(nn.Module):
    """Mixes positions, then channels."""

    def __init__(self, positions: int, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.across = nn.Sequential(nn.Linear(positions, 32), nn.GELU(), nn.Linear(32, positions))
        self.within = nn.Sequential(nn.Linear(channels, 96), nn.GELU(), nn.Linear(96, channels))

    def forward(self, x: Any) -> Any:
        x = x + self.across(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.within(self.norm2(x))


class Mixer(nn.Module):
    """MLP-Mixer on patches of 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 48, 8, 8)
        self.blocks = nn.Sequential(*(MixerBlock(64, 48) for _ in range(3)), nn.LayerNorm(48))
        self.fc = nn.Linear(48, 10)

    def forward(self, x: Any) -> Any:
        return self.fc(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class PointNet(nn.Module):
    """The same small network on every point, their maxima, classes."""

    def __init__(self) -> None:
        super().__init__()
        self.points = nn.Sequential(
            nn.Conv1d(3, 32, 1),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Conv1d(32, 64, 1),
            nn.BatchNorm1d(64),
            nn.ReLU(),
        )
        self.fc = nn.Sequential(
            nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 8)
        )

    def forward(self, x: Any) -> Any:
        return self.fc(torch.max(self.points(x), 2)[0])


class TextEncoder(nn.Module):
    """torch's own transformer encoder with a mask of padded words and learned positions."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(60, 32), nn.Parameter(torch.randn(1, 12, 32) * 0.1)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(32, 4)

    def forward(self, words: Any) -> Any:
        found = self.encoder(self.words(words) + self.places, src_key_padding_mask=words == 0)
        return self.fc(found.mean(1))

"""Modules that are hard to capture, as users write them: a function per case gives module, arguments, keywords."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812
from torch.nn.utils import parametrizations, weight_norm  # noqa: E402

Case = tuple[Any, tuple[Any, ...], dict[str, Any]]
Pair = namedtuple("Pair", ["first", "second"])


@dataclass
class Answer:
    logits: Any
    hidden: Any = None


def randn(*shape: int) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 8)
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.table.weight

    def forward(self, tokens: Any) -> Any:
        return self.head(F.relu(self.table(tokens)))


class ManyInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(
        self, pair: Any, table: Any, mask: Any = None, *, scale: float = 1.0, shift: Any = None
    ) -> Any:
        x = self.fc(pair[0]) * scale + table["x"]
        x = x if mask is None else x * mask
        x = x if shift is None else x + shift
        return OrderedDict(a=x, b=[pair[1], (x.relu(), None)])


class Returns(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.fc, self.form = nn.Linear(4, 4), form

    def forward(self, x: Any) -> Any:
        y = self.fc(x)
        if self.form == "dataclass":
            return Answer(y, (y.relu(), None))
        return Pair(y, y.relu()) if self.form == "namedtuple" else (y, 3, "text", None, x.shape[0])


class Buffered(nn.Module):
    """A counter and a running mean that are written in forward, and a table that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("table", torch.arange(4.0), persistent=False)

    def forward(self, x: Any) -> Any:
        self.calls += 1
        self.mean.mul_(0.9).add_(x.detach().mean(0), alpha=0.1)
        return self.fc(x) + self.table


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        y = self.act(self.conv(x))
        y += 1
        y[:, 0] = 0
        y[:, 1:2].mul_(2)
        z = y.clone()
        z.clamp_(max=0.5).unsqueeze_(0).squeeze_(0)
        return F.relu_(z - y)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.again = self.block

    def forward(self, x: Any) -> Any:
        for _ in range(2):
            x = self.block(x)
        return self.again(x)


class NoGrad(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        with torch.no_grad():
            x = self.body(x)
        with torch.enable_grad():
            x = torch.relu(x)
        return self.head(x.detach())


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.cross = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Any) -> Any:
        y = self.encoder(x)
        return self.cross(y, x, x, need_weights=False)[0]


class Normed(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        made = nn.Conv2d(3, 4, 3, padding=1)
        wraps: dict[str, Callable[[Any], Any]] = {
            "old": weight_norm,
            "weight": parametrizations.weight_norm,
            "spectral": parametrizations.spectral_norm,
        }
        self.conv = wraps[kind](made)
        self.head = parametrizations.orthogonal(nn.Linear(4, 4)) if kind == "weight" else nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        return self.head(self.conv(x).mean((2, 3)))


class Keyworded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def scaled(self, x: Any, *, by: float, clamp: bool = False) -> Any:
        y = self.fc(x) * by
        return y.clamp(min=0) if clamp else y

    def forward(self, x: Any, *, by: float = 2.0, **rest: Any) -> Any:
        return self.scaled(x, by=by, clamp=rest.get("clamp", False))


class Ints(nn.Module):
    """Token ids, a mask of booleans, a number that picks an axis."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.fc = nn.Embedding(10, 4), nn.Linear(4, 4)

    def forward(self, tokens: Any, mask: Any, dim: int = 1) -> Any:
        x = self.fc(self.table(tokens)).masked_fill(~mask.unsqueeze(-1), 0.0)
        return x.sum(dim), tokens + 1


class Strided(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.conv.weight.data = self.conv.weight.data.to(memory_format=torch.channels_last)
        self.fc = nn.Linear(4, 4)
        self.fc.weight.data = torch.randn(4, 8)[:, ::2]

    def forward(self, x: Any) -> Any:
        return self.fc(self.conv(x).permute(0, 2, 3, 1))


class Grows(nn.Module):
    """Sizes computed from the batch, a view with -1, a python loop over layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: Any) -> Any:
        batch, length, _ = x.shape
        for layer in self.layers:
            x = torch.relu(layer(x.reshape(batch * length, -1))).view(batch, length, -1)
        return x + torch.zeros(batch, 1, 4, device=x.device, dtype=x.dtype)


def cases() -> dict[str, Callable[[], Case]]:
    image, rows = randn(2, 3, 6, 6), randn(2, 4)
    wide = randn(2, 6, 6, 3).permute(0, 3, 1, 2)
    tokens = torch.tensor([[1, 2, 3], [4, 5, 9]])
    return {
        "tied weights": lambda: (Tied(), (tokens,), {}),
        "nested inputs": lambda: (ManyInputs(), ((rows, rows + 1), {"x": rows}), {}),
        "inputs that are none": lambda: (
            ManyInputs(), ([rows, rows], {"x": rows}, None), {"scale": 2.0, "shift": rows},
        ),
        "a dataclass": lambda: (Returns("dataclass"), (rows,), {}),
        "a named tuple": lambda: (Returns("namedtuple"), (rows,), {}),
        "outputs that are no tensors": lambda: (Returns("other"), (rows,), {}),
        "buffers written in forward": lambda: (Buffered(), (rows,), {}),
        "work in place": lambda: (InPlace(), (image,), {}),
        "a module called again": lambda: (Twice(), (rows,), {}),
        "no_grad inside": lambda: (NoGrad(), (rows,), {}),
        "attention's fast path": lambda: (Attention(), (randn(2, 5, 8),), {}),
        "weight norm of old": lambda: (Normed("old"), (image,), {}),
        "weight norm": lambda: (Normed("weight"), (image,), {}),
        "spectral norm": lambda: (Normed("spectral"), (image,), {}),
        "keyword-only arguments": lambda: (Keyworded(), (rows,), {"by": 0.5, "clamp": True}),
        "integers and masks": lambda: (Ints(), (tokens, tokens > 2), {}),
        "memory in other orders": lambda: (Strided(), (wide,), {}),
        "sizes from the batch": lambda: (Grows(), (randn(2, 3, 4),), {}),
        "one sample": lambda: (Grows(), (randn(1, 3, 4),), {}),
        "data parallel": lambda: (nn.DataParallel(Twice()), (rows,), {}),
    }  # fmt: skip

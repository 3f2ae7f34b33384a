"""Small networks on their way through fine-tuning."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from quantforge.frontends.torch.quantizer import ModuleQuantizer
from quantforge.frontends.torch.recipes import dpu_recipe

CPU = torch.device("cpu")


class Mixed(nn.Module):
    """Full, depthwise and grouped convolutions, a residual sum, an operator the graph does not know, a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.depth = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.point = nn.Conv2d(8, 8, 1)
        self.halves = nn.Conv2d(8, 6, 3, stride=2, padding=1, groups=2)
        self.linear = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.stem(x)))
        x = x + self.point(functional.relu(self.depth(x)))
        x = functional.relu(self.halves(torch.roll(x, 1, 3)))
        return self.linear(x.mean((2, 3)))


class Shared(nn.Module):
    """One layer called twice, two inputs in a dict, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.both = nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        left, right = (functional.relu(self.first(inputs[name])) for name in ("left", "right"))
        return self.both(left), self.both(left + right)


def images(count: int = 48, seed: int = 5) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def quantizer_of(module: nn.Module, *arguments: Any, bits: int = 4) -> ModuleQuantizer:
    """Calibrated on the arguments."""
    found = ModuleQuantizer(module.eval(), arguments, None, dpu_recipe(bits))
    with torch.no_grad():
        found.observed_module()(*arguments)
    found.solve()
    return found


def mixed(bits: int = 4) -> ModuleQuantizer:
    torch.manual_seed(0)
    return quantizer_of(Mixed(), images(), bits=bits)


def shared() -> tuple[ModuleQuantizer, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(3)
    inputs = {name: torch.randn(32, 6, generator=draw) for name in ("left", "right")}
    return quantizer_of(Shared(), inputs), inputs

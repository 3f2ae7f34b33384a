"""Small modules on their way to a DPU: one with operators that no DPU has, one with calls that only torch knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pytorch_nndct.apis import torch_quantizer

TARGET = "DPUCZDX8G_ISA1_B4096"
CPU = torch.device("cpu")


class Mixed(nn.Module):
    """tanh and sigmoid between convolutions, softmax behind."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.linear = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.conv1(x))
        x = functional.relu(self.conv2(torch.tanh(x))) * torch.sigmoid(x)
        return functional.softmax(self.linear(x.mean((2, 3))), -1)


class Foreign(nn.Module):
    """Calls of ATen without a rule, tensors of the size of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1)
        self.token = nn.Parameter(torch.randn(1, 8, 1, 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = functional.relu(self.conv1(x))
        x = x + self.token.expand(x.shape[0], -1, -1, -1) + torch.zeros(x.shape[0], 8, 1, 1)
        values, _ = torch.topk(torch.cumsum(x, 3) * 0.25, 4, 1)
        return self.conv2(x), values


def images(samples: int = 6) -> torch.Tensor:
    return torch.randn(samples, 3, 8, 8, generator=torch.Generator().manual_seed(3))


def made(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind().eval()


def quantized(module: nn.Module, folder: Path, **options: Any) -> Any:
    """The quantizer in test mode, after a calibration."""
    example, given = images()[:1], {"output_dir": str(folder), "device": CPU, **options}
    with torch.no_grad():
        calibrated = torch_quantizer("calib", module, example, **given)
        calibrated.quant_model(images())
        calibrated.export_quant_config()
        return torch_quantizer("test", module, example, **given)

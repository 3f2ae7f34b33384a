"""One learned quantizer as a module: its threshold, and whether it works."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from quantforge.frontends.torch.training.tqt import Grid, fake_quantize, threshold_of
from quantforge.graph import QuantSpec
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.rounding import Rounding

MARK = "log_threshold"


def stored_as(x: torch.Tensor, spec: QuantSpec) -> torch.Tensor:
    """`x` after storing it at a position that does not train.

    >>> from quantforge.numerics.formats import INT8
    >>> stored_as(torch.tensor([0.3, 2.0]), QuantSpec.power_of_two(INT8, 7))
    tensor([0.2969, 0.9922])
    """
    form, position = spec.format, spec.position
    if not isinstance(form, IntFormat) or position is None:
        raise TypeError(f"{spec} has no position")
    threshold = torch.full((1,), threshold_of(position, form.bits), device=x.device)
    return fake_quantize(x, threshold, Grid(form.bits, spec.rounding))


class TrainedQuantizer(nn.Module):
    """Stores tensors as integers of `bits` bits times a power of two that training moves.

    Attributes:
        log_threshold: The parameter, log2 of the largest magnitude; float32 [1]. Every value in (t - 1, t] stands for
            the same scale 2^t / 2^(bits-1).
        enabled: Whether anything is stored; without, tensors pass as they are.
    """

    def __init__(self, bits: int, rounding: Rounding) -> None:
        super().__init__()
        self.bits, self.rounding = bits, rounding
        self.log_threshold = nn.Parameter(torch.zeros(1))
        self.enabled = True

    def forward(self, x: torch.Tensor, grid: Grid) -> Any:
        """The fake-quantized tensor."""
        if not self.enabled:
            return torch.relu(x) if grid.relu else x
        return fake_quantize(x, self.log_threshold, grid)

    @property
    def position(self) -> int:
        """The number of fractional bits."""
        return self.bits - 1 - int(torch.ceil(self.log_threshold.detach()))

    @property
    def spec(self) -> QuantSpec:
        """How a graph says it."""
        return QuantSpec.power_of_two(IntFormat(self.bits), self.position, self.rounding)

    def begin_at(self, position: int) -> None:
        """Start from a number of fractional bits."""
        with torch.no_grad():
            self.log_threshold.fill_(threshold_of(position, self.bits))

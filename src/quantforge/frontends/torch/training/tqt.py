"""Fake quantization with a threshold that learns, for tensors stored with one power of two.

    scale = 2^ceil(t) / 2^(bits-1)         t: the learned parameter, log2 of the threshold
    s = x / scale,  r = round(s),  y = clamp(r, qmin, qmax) * scale
    dL/dx = dL/dy where qmin <= r <= qmax, else 0
    dL/dt = ln 2 * sum dL/dy * scale * { r - s inside, qmin below, qmax above }

The gradient takes round and ceil for the identity (straight through); the forward pass is that of `FakeQuantizer`,
bit for bit. A relu in front of the quantizer is part of it: r = 0 and no gradient where x <= 0.
Source: Jain, Gural, Wu, Dick: Trained Quantization Thresholds, 2020 (arXiv:1903.08066).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from quantforge.frontends.torch.fake_quantize import round_tensor
from quantforge.frontends.torch.training.sweeps import differentiate, quantize_half_away, quantize_half_up
from quantforge.numerics.rounding import Rounding

LN2 = 0.6931471805599453
_SMALL = 1 << 12  # elements below which a few calls into torch cost less than leaving it


@dataclass(frozen=True)
class Grid:
    """How a tensor is stored, save for its scale: signed integers of `bits` bits, and what stands before rounding."""

    bits: int
    rounding: Rounding
    relu: bool = False

    @property
    def low(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """The largest integer."""
        return (1 << (self.bits - 1)) - 1


def scale_of(log_threshold: torch.Tensor, bits: int) -> torch.Tensor:
    """The step that a threshold stands for: an exact power of two, float32 [1].

    >>> scale_of(torch.tensor([1.3]), 8)
    tensor([0.0312])
    """
    exponent = torch.ceil(log_threshold.detach()).to(torch.int32) - (bits - 1)
    # by its bits: exp2 and pow are not exact on every device
    return ((torch.clamp(exponent, -126, 127) + 127) << 23).view(torch.float32)


def threshold_of(position: int, bits: int) -> float:
    """The log2 threshold in the middle of those that mean `position` fractional bits.

    >>> threshold_of(5, 8), int(threshold_of(5, 8) // 1 + 1)
    (1.5, 2)
    """
    return bits - 1 - position - 0.5


def fake_quantize(x: torch.Tensor, log_threshold: torch.Tensor, grid: Grid) -> torch.Tensor:
    """`x` after storing it and reading it back, in its own dtype; computed in float32.

    Args:
        x: float32, float16 or bfloat16, any shape.
        log_threshold: float32 [1].
        grid: The integers it is stored as.
    """
    if not x.is_floating_point() or x.numel() == 0:
        return x
    found: torch.Tensor = _FakeQuantize.apply(x.to(torch.float32), log_threshold, grid)  # type: ignore[no-untyped-call]
    return found.to(x.dtype)


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, log_threshold: torch.Tensor, grid: Grid) -> torch.Tensor:
        scale = scale_of(log_threshold, grid.bits)
        out = _swept(x, scale, grid) if _is_swept(x, grid) else _stored(x, scale, grid)
        ctx.save_for_backward(x, out, scale)
        ctx.grid = grid
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        x, out, scale = ctx.saved_tensors
        gradient, grid = gradients[0], ctx.grid
        if _is_swept(x, grid) and gradient.dtype == torch.float32:
            return *_swept_gradients(gradient, x, out, scale, grid), None
        inside = _inside(x, scale, grid)
        errors = out - torch.where(inside, x, 0.0)
        total = torch.sum(gradient * errors, dtype=torch.float32) * LN2
        return torch.where(inside, gradient, 0.0), total.reshape(1), None


def _stored(x: torch.Tensor, scale: torch.Tensor, grid: Grid) -> torch.Tensor:
    steps = torch.clamp(x / scale, 0 if grid.relu else grid.low, grid.high)
    return (round_tensor(steps, grid.rounding) + 0.0) * scale


def _inside(x: torch.Tensor, scale: torch.Tensor, grid: Grid) -> torch.Tensor:
    rounded = round_tensor(torch.clamp(x / scale, 2 * grid.low, 2 * grid.high + 2), grid.rounding)
    return (x > 0 if grid.relu else rounded >= grid.low) & (rounded <= grid.high)


def _is_swept(x: torch.Tensor, grid: Grid) -> bool:
    """Whether loops of our own serve: large tensors on the processor, outside torch.compile."""
    if torch.compiler.is_compiling() or x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    known = grid.rounding is Rounding.HALF_UP or (grid.rounding is Rounding.HALF_AWAY and not grid.relu)
    return x.numel() >= _SMALL and known and _is_dense(x)


def _is_dense(x: torch.Tensor) -> bool:
    return x.is_contiguous() or (x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last))


def _swept(x: torch.Tensor, scale: torch.Tensor, grid: Grid) -> torch.Tensor:
    out = torch.empty_like(x)
    flat, into = _in_memory(x), _in_memory(out)
    if grid.rounding is Rounding.HALF_UP:
        quantize_half_up(flat, float(scale), grid.low, grid.high, int(grid.relu), into)
    else:
        quantize_half_away(flat, float(scale), grid.low, grid.high, into)
    return out


def _swept_gradients(
    gradient: torch.Tensor, x: torch.Tensor, out: torch.Tensor, scale: torch.Tensor, grid: Grid
) -> tuple[torch.Tensor, torch.Tensor]:
    into, total = torch.empty_like(x), torch.zeros(1, dtype=torch.float64)
    if gradient.stride() != x.stride():
        gradient = torch.empty_like(x).copy_(gradient)
    differentiate(
        _in_memory(gradient), _in_memory(x), _in_memory(out), float(scale), grid.low, grid.high,
        int(grid.relu), int(grid.rounding is Rounding.HALF_AWAY), _in_memory(into), total.numpy(),
    )  # fmt: skip
    return into, (total * LN2).to(torch.float32)


def _in_memory(x: torch.Tensor) -> Any:
    """The elements of a dense tensor in the order they lie in, as an array [n] that shares its memory."""
    return x.detach().as_strided((x.numel(),), (1,), x.storage_offset()).numpy()

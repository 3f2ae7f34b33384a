"""Functions of torch as modules, for models that were written for the original's training.

There every operation had to be a module. Here `+` and functional calls do as well; these modules give a layer a name.
Source: user guide UG1414, vai_q_pytorch QAT Requirements, Operation Replacement Mapping.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import interpolate, pad

__all__ = [
    "Add", "AddScalar", "Cat", "Clamp", "Const", "Interpolate", "Matmul", "Max", "Mean", "Mul", "Pad", "Softmax",
    "Sqrt", "Sub", "Sum", "Transpose", "Upsample",
]  # fmt: skip


class Add(nn.Module):
    """`torch.add`.

    >>> Add()(torch.tensor([1.0]), torch.tensor([2.0]), alpha=3)
    tensor([7.])
    """

    def forward(self, input: torch.Tensor, other: Any, alpha: float = 1) -> torch.Tensor:
        """input + alpha * other."""
        return torch.add(input, other, alpha=alpha)


class Sub(nn.Module):
    """`torch.sub`."""

    def forward(self, input: torch.Tensor, other: Any, alpha: float = 1) -> torch.Tensor:
        """input - alpha * other."""
        return torch.sub(input, other, alpha=alpha)


class AddScalar(nn.Module):
    """A tensor plus a number."""

    def forward(self, input: torch.Tensor, other: float, alpha: float = 1) -> torch.Tensor:
        """input + alpha * other."""
        return torch.add(input, other, alpha=alpha)


class Mul(nn.Module):
    """`torch.mul`."""

    def forward(self, input: torch.Tensor, other: Any) -> torch.Tensor:
        """input * other."""
        return torch.mul(input, other)


class Matmul(nn.Module):
    """`torch.matmul`."""

    def forward(self, input: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The matrix product."""
        return torch.matmul(input, other)


class Cat(nn.Module):
    """`torch.cat`."""

    def forward(self, tensors: Sequence[torch.Tensor], dim: int = 0) -> torch.Tensor:
        """The tensors one behind the other along axis `dim`."""
        return torch.cat(list(tensors), dim)


class Max(nn.Module):
    """`torch.max` in all its forms."""

    def forward(self, input: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """The largest element; with an axis largest elements and indices; with a tensor the larger of two."""
        return torch.max(input, *args, **kwargs)


class Sum(nn.Module):
    """`torch.sum`."""

    def forward(self, input: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The sum of all elements, or along axes."""
        return torch.sum(input, *args, **kwargs)


class Mean(nn.Module):
    """`torch.mean`."""

    def forward(self, input: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The mean of all elements, or along axes."""
        return torch.mean(input, *args, **kwargs)


class Interpolate(nn.Module):
    """`torch.nn.functional.interpolate`."""

    def forward(
        self,
        input: torch.Tensor,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> torch.Tensor:
        """The image in another size."""
        return interpolate(input, size, scale_factor, mode, align_corners, recompute_scale_factor)


class Upsample(nn.Module):
    """`torch.nn.functional.interpolate` under its older name."""

    def forward(
        self,
        input: torch.Tensor,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ) -> torch.Tensor:
        """The image in another size."""
        return interpolate(input, size, scale_factor, mode, align_corners)


class Pad(nn.Module):
    """`torch.nn.functional.pad`."""

    def forward(
        self, input: torch.Tensor, pad_size: Sequence[int], mode: str = "constant", value: float | None = None
    ) -> torch.Tensor:
        """`pad_size` names the last axis first, as torch does."""
        return pad(input, list(pad_size), mode, value)


class Softmax(nn.Module):
    """`torch.softmax`."""

    def forward(self, input: torch.Tensor, dim: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Softmax along axis `dim`."""
        return torch.softmax(input, dim, dtype=dtype)


class Clamp(nn.Module):
    """`torch.clamp`."""

    def forward(self, input: torch.Tensor, min: Any = None, max: Any = None) -> torch.Tensor:
        """`input`, held between `min` and `max`."""
        return torch.clamp(input, min, max)


class Transpose(nn.Module):
    """`torch.transpose`."""

    def forward(self, input: torch.Tensor, dim0: int, dim1: int) -> torch.Tensor:
        """Two axes swapped."""
        return torch.transpose(input, dim0, dim1)


class Sqrt(nn.Module):
    """`torch.sqrt`."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The square root."""
        return torch.sqrt(input)


class Const(nn.Module):
    """A constant as a module.

    >>> Const([1.0, 2.0])()
    tensor([1., 2.])
    """

    value: torch.Tensor

    def __init__(self, value: Any, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.register_buffer("value", torch.as_tensor(value, dtype=dtype), persistent=False)

    def forward(self) -> torch.Tensor:
        """The constant."""
        return self.value

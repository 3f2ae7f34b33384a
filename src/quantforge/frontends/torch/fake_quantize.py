"""The arithmetic of `numerics.affine` and `numerics.lowfloat` in torch, equal to it bit for bit.

    x' = clamp(round(x / scale), qmin - zp, qmax - zp) * scale

float16 tensors are divided in float32, float32 ones in float32, float64 ones and formats wider than 24 bits in
float64; the bounds are clamped to before rounding. +-inf goes to the ends of the range. NaN stays NaN here, where
`numerics` refuses it: to look for it would make a device wait for every tensor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from quantforge.graph import QuantSpec
from quantforge.numerics.formats import BFLOAT16, FloatFormat, IntFormat
from quantforge.numerics.lowfloat import largest_finite
from quantforge.numerics.rounding import Rounding

_FLOAT32_BITS = 24


def round_tensor(x: torch.Tensor, mode: Rounding) -> torch.Tensor:
    """Round every element to an integer; `x` is far enough from overflow to be doubled.

    >>> round_tensor(torch.tensor([-2.5, -0.5, 0.5, 1.5]), Rounding.HALF_UP).tolist()
    [-2.0, -0.0, 1.0, 2.0]
    """
    if mode is Rounding.HALF_EVEN:
        return torch.round(x)
    if mode is Rounding.FLOOR:
        return torch.floor(x)
    if mode is Rounding.CEIL:
        return torch.ceil(x)
    if mode is Rounding.TOWARD_ZERO:
        return torch.trunc(x)
    if mode is Rounding.HALF_UP:
        return _half_up(x)
    if mode is Rounding.DPU_MIXED:
        return torch.round(torch.clamp_min(x, 0)) + _half_up(torch.clamp_max(x, 0))
    magnitude = torch.abs(x)
    settled = _half_up(magnitude) if mode is Rounding.HALF_AWAY else _half_below(magnitude)
    return torch.copysign(settled, x)


def _half_up(x: torch.Tensor) -> torch.Tensor:
    """Ties toward +inf: ceil(floor(2x) / 2); doubling and halving are exact."""
    return torch.ceil(torch.floor(x + x) * 0.5)


def _half_below(x: torch.Tensor) -> torch.Tensor:
    """Ties toward -inf: floor(ceil(2x) / 2)."""
    return torch.floor(torch.ceil(x + x) * 0.5)


class FakeQuantizer:
    """Stores tensors as `spec` says and reads them back, in their own dtype.

    Its parameters are kept for every device and dtype that turns up, and take no part in ``module.half()``.
    """

    def __init__(self, spec: QuantSpec) -> None:
        self.spec = spec
        self._tensors: dict[tuple[torch.device, torch.dtype, int], tuple[Any, Any, Any]] = {}

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The fake-quantized tensor."""
        if not x.is_floating_point() or x.numel() == 0:
            return x
        if isinstance(self.spec.format, FloatFormat):
            return _through_float(x, self.spec.format)
        compute = x.dtype
        if self.spec.format.bits > _FLOAT32_BITS:
            compute = torch.float64
        elif x.dtype in (torch.float16, torch.bfloat16):
            compute = torch.float32
        scale, low, high = self._parameters(x, compute, self.spec.format)
        steps = torch.clamp(x.to(compute) / scale, low, high)
        real = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
        values = round_tensor(steps, self.spec.rounding).to(real) + 0.0  # -0.0 becomes 0.0, as in integers
        factor = scale if compute == real else self._parameters(x, real, self.spec.format)[0]
        return torch.mul(values, factor).to(x.dtype)

    def _parameters(self, x: torch.Tensor, dtype: torch.dtype, form: IntFormat) -> tuple[Any, Any, Any]:
        if torch.compiler.is_compiling():
            return self._made(x, dtype, form)  # tensors that hold no data, to be forgotten with the trace
        key = (x.device, dtype, x.ndim)
        if key not in self._tensors:
            self._tensors[key] = self._made(x, dtype, form)
        return self._tensors[key]

    def _made(self, x: torch.Tensor, dtype: torch.dtype, form: IntFormat) -> tuple[Any, Any, Any]:
        """Scale and ends of the range."""
        spec, shape = self.spec, _shape_along(self.spec.axis, x.ndim)

        def tensor(values: Any) -> torch.Tensor:
            numbers = torch.tensor(values, dtype=torch.float64).to(dtype)
            return numbers.reshape(shape if numbers.numel() > 1 else ()).to(x.device)

        zero = np.asarray(spec.zero_point, np.int64)
        if zero.size == 1:
            ends: tuple[Any, Any] = (float(form.qmin - int(zero[0])), float(form.qmax - int(zero[0])))
        else:
            ends = (tensor((form.qmin - zero).tolist()), tensor((form.qmax - zero).tolist()))
        return (tensor(list(spec.scale)), *ends)


def _shape_along(axis: int | None, rank: int) -> tuple[int, ...]:
    return () if axis is None else tuple(-1 if dim == axis % rank else 1 for dim in range(rank))


def _through_float(x: torch.Tensor, form: FloatFormat) -> torch.Tensor:
    """To float16 or bfloat16 and back; the largest finite number holds what lies beyond."""
    limit = largest_finite(form)
    if form == BFLOAT16 and x.dtype != torch.float64:
        held = x if x.dtype == torch.float16 else torch.clamp(x, -limit, limit)
        return held.to(torch.float32).to(torch.bfloat16).to(x.dtype)
    held = torch.clamp(x, -limit, limit)
    if x.dtype != torch.float64:
        return held.to(torch.float16).to(x.dtype)
    return _once_rounded(held, torch.bfloat16 if form == BFLOAT16 else torch.float16)


def _once_rounded(x: torch.Tensor, narrow: torch.dtype) -> torch.Tensor:
    """float64 to a narrow float in one rounding: through float32 truncated to odd."""
    single = x.to(torch.float32)
    bits = single.view(torch.int32)
    bits = bits - (single.double().abs() > x.abs()).to(torch.int32)
    bits = bits | ((single.double() != x) & ~torch.isnan(x)).to(torch.int32)
    return bits.view(torch.float32).to(narrow).to(torch.float64)

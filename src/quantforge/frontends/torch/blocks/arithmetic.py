"""The arithmetic of `numerics.block_float` in torch, equal to it bit for bit, on any device.

Powers of two are cut out of the bits of floats, so that nothing depends on how a device rounds or fuses. An inf or
NaN in a block makes its largest magnitude infinite, and with it the step: that alone turns the block into NaN.
Backward, gradients pass as if nothing had been stored (straight through).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

from quantforge.frontends.torch.fake_quantize import round_tensor
from quantforge.graph import Op
from quantforge.numerics.block_float import BlockFormat, BlockKind
from quantforge.numerics.formats import BFLOAT16, FloatFormat
from quantforge.numerics.rounding import Rounding
from quantforge.ops.attributes import integer
from quantforge.ops.fake_quantize import format_of

_EXPONENT_BITS = 0x7F800000
_SMALLEST_NORMAL = 2.0**-126
_OF_MAGNITUDES = {
    Rounding.HALF_AWAY: Rounding.HALF_UP,
    Rounding.TOWARD_ZERO: Rounding.FLOOR,
}  # the same, faster


def fake_quantize(op: Op) -> Callable[[Sequence[Any]], torch.Tensor]:
    """The kernel of an op of kind fake-quantize."""
    format, axis = format_of(op), integer(op, "axis", -1)
    return lambda tensors: stored(tensors[0], format, axis)


def stored(x: torch.Tensor, format: BlockFormat | FloatFormat, axis: int) -> torch.Tensor:
    """`x` after storing it in `format` and reading it back, in its own dtype.

    Args:
        x: Real values; other dtypes and empty tensors pass.
        format: A block format, bfloat16 or float16.
        axis: The axis along which blocks lie.

    >>> from quantforge.numerics.block_float import parse_block_format
    >>> stored(torch.tensor([1, 0.3, -0.7, 3.3]), parse_block_format("mx6"), 0).tolist()
    [1.0, 0.25, -0.75, 3.25]
    """
    if not x.is_floating_point() or x.numel() == 0:
        return x
    if torch.is_grad_enabled() and x.requires_grad:
        found: torch.Tensor = _StraightThrough.apply(x, format, axis)  # type: ignore[no-untyped-call]
        return found
    return _forward(x, format, axis)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, format: BlockFormat | FloatFormat, axis: int) -> torch.Tensor:
        return _forward(x, format, axis)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        return gradients[0], None, None


def _forward(x: torch.Tensor, format: BlockFormat | FloatFormat, axis: int) -> torch.Tensor:
    if isinstance(format, FloatFormat):
        return x.to(torch.bfloat16 if format == BFLOAT16 else torch.float16).to(x.dtype)
    axis %= x.ndim
    rows, count = x.to(torch.float32), x.shape[axis]
    missing = -count % format.block_size
    padded = functional.pad(rows, (0, 0) * (x.ndim - 1 - axis) + (0, missing)) if missing else rows
    back = _blocks(torch.unflatten(padded, axis, (-1, format.block_size)), format, axis + 1).flatten(
        axis, axis + 1
    )
    return (back.narrow(axis, 0, count) if missing else back).contiguous().to(x.dtype)


def _blocks(x: torch.Tensor, form: BlockFormat, axis: int) -> torch.Tensor:
    """Each slice along `axis` is one block."""
    magnitude = x.abs()
    if form.kind is BlockKind.PLAIN:
        magnitude = torch.where(torch.isfinite(x), magnitude, 0.0)
    elif form.kind is BlockKind.MICROEXPONENT:
        magnitude = torch.where(magnitude < _SMALLEST_NORMAL, 0.0, magnitude)
    power = torch.clamp_min(_power(magnitude.amax(axis, keepdim=True)), form.smallest_power)
    if form.exponent_bits:
        rounded = _floats(magnitude, power, form)
    else:
        rounded = _integers(magnitude, power, form, axis)
    signed = torch.where(x < 0, 0.0 - rounded, rounded)  # 0 - 0 is a positive zero
    return torch.where(torch.isfinite(x), signed, x) if form.kind is BlockKind.PLAIN else signed


def _power(x: torch.Tensor) -> torch.Tensor:
    """The largest power of two that is not above each normal number; 0 for subnormal ones, inf for inf and NaN."""
    return (x.view(torch.int32) & _EXPONENT_BITS).view(torch.float32)


def _integers(magnitude: torch.Tensor, power: torch.Tensor, form: BlockFormat, axis: int) -> torch.Tensor:
    step = power * 2.0 ** (1 - form.mantissa_bits)
    if form.shift_bits:
        magnitude = torch.unflatten(magnitude, axis, (-1, form.sub_block_size))
        shift = _lowered(magnitude.amax(axis + 1, keepdim=True), power.unsqueeze(axis), form)
        step = step.unsqueeze(axis) * shift
    steps = _round(magnitude / step, form).clamp_max(float(form.largest))
    found = steps * step
    return found.flatten(axis, axis + 1) if form.shift_bits else found


def _round(magnitude: torch.Tensor, form: BlockFormat) -> torch.Tensor:
    return round_tensor(magnitude, _OF_MAGNITUDES.get(form.rounding, form.rounding))


def _lowered(peaks: torch.Tensor, power: torch.Tensor, form: BlockFormat) -> torch.Tensor:
    """2**-D for sub-blocks with these largest magnitudes."""
    shift = torch.ones_like(peaks)
    for index in range((1 << form.shift_bits) - 1):
        shift = torch.where(peaks < power * 2.0**-index, 2.0 ** -(index + 1), shift)
    return shift


def _floats(magnitude: torch.Tensor, power: torch.Tensor, form: BlockFormat) -> torch.Tensor:
    lowest, highest = form.exponent_range
    scale = power * 2.0**-highest
    scaled = magnitude / scale
    step = torch.clamp_min(_power(scaled), 2.0**lowest) * 2.0**-form.mantissa_bits
    nearest = _round(scaled / step, form) * step
    return nearest.clamp_max(form.largest_float) * scale

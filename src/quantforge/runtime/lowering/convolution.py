"""Convolutions and pools as QLinearConv on bytes in NHWC, whose int32 accumulators are exact.

QLinearConv ends with round_half_even(float32(acc) * scale) + zero point, saturated. With a power of two as scale
that is exact wherever it does not saturate. The other roundings are made of it, with 1+ standing for 1 + 2**-23:

    half even   scale 2**-s
    half away   scale 1+ 2**-s: a tie moves away from zero, nothing else reaches a tie (s <= 14)
    half up     the same on an accumulator that 128 * 2**s keeps positive: there away from zero is up

Proof for s <= 14: a number n + 1/2 < 256 times 1+ is rounded to the next float or the one after it; the largest
accumulator below that tie is 2**-s away, and its product moves by less than 2**-15 and half a float more.
An accumulator of 2**24 or more saturates for every s <= 16, so its conversion to float32 may round.

leaky ReLU is max(y(acc), y(acc * 26/256)): two convolutions, clamped at zero from either side and added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.numerics.law import LEAKY_RELU_SLOPE, average_pool_factor
from quantforge.numerics.rounding import Rounding
from quantforge.runtime.fixed import Fixed, Int64Array, fixed_of
from quantforge.runtime.geometry import Windows, check_shape, windows_of
from quantforge.runtime.kernels.finish import hard_sigmoid_input, nonlinear_of
from quantforge.runtime.kernels.windows import exact_factor, window_counts
from quantforge.runtime.lowering.builder import CONTRIB, Held, Lowering, bytes_of, zero_of
from quantforge.runtime.lowering.finish import (
    apply_hard,
    finish_real,
    limits_of,
    real_type,
    requantized,
    round_real,
    to_real,
)
from quantforge.xmodel.model import XOp

INT32 = 1 << 31
ABOVE_ONE = float(np.nextafter(np.float32(1), np.float32(2)))
BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))


@dataclass(frozen=True)
class Filter:
    """A convolution on integers: weights [M, C / group, *kernel], bias on the accumulator, its position."""

    x: Held
    weights: Int64Array
    bias: Int64Array
    group: int
    windows: Windows
    position: int

    @property
    def magnitude(self) -> int:
        """No accumulator, and no part of one, is larger."""
        rows = np.abs(self.weights).reshape(len(self.weights), -1).sum(axis=1) * self.x.magnitude
        return int((rows + np.abs(self.bias)).max())


def lower_convolution(low: Lowering, op: XOp) -> Held:
    """Any convolution of 1 to 3 dimensions."""
    x, weights = low.input(op), low.weights(op, "weights")
    if weights is None:
        raise InputError("Q1203", op.name, f"{op.kind} without weights", "argument weights", "compile again")
    windows = windows_of(op, x.shape[1:-1])
    if windows.kernel != weights.shape[1:-1]:
        found = f"weights {list(weights.shape)} and kernel {windows.kernel}"
        raise InputError("Q1203", op.name, found, "weights of the kernel's size", "compile the model again")
    transposed = "transposed" in op.kind
    sizes = (windows.transposed_counts if transposed else windows.counts)(x.shape[1:-1])
    depthwise = "depthwise" in op.kind
    channels = weights.shape[0] * weights.shape[-1] if depthwise else weights.shape[0]
    check_shape(op, (op.tensor.shape[0], *sizes, channels))
    if transposed:
        x, windows = stuffed(low, x, windows)
    group = weights.shape[-1] if depthwise else int(op.get("group", 1))
    plain = np.moveaxis(weights, -1, 1)
    if depthwise:  # [multiplier, C, *kernel] to channel c * multiplier + q
        plain = np.moveaxis(plain, 1, 0).reshape(channels, 1, *windows.kernel)
    if x.shape[-1] != group * plain.shape[1]:
        found = f"{x.shape[-1]} input channels for weights {list(weights.shape)} in {group} groups"
        raise InputError("Q1203", op.name, found, "as many as the weights have", "compile the model again")
    weight_position = fixed_of(low.program.read(op.args["weights"][0])).position
    return run_filter(low, op, aligned(low, op, x, plain, group, windows, x.fixed.position + weight_position))


def aligned(
    low: Lowering, op: XOp, x: Held, weights: Int64Array, group: int, windows: Windows, position: int
) -> Filter:
    """The filter with its bias on the accumulator's position; a finer bias makes weights and accumulator finer."""
    bias = low.weights(op, "bias")
    if bias is None:
        return Filter(x, weights, np.zeros(len(weights), np.int64), group, windows, position)
    if bias.shape != (len(weights),):
        found = f"{bias.size} biases"
        raise InputError("Q1203", op.name, found, f"{len(weights)}, one per output channel", "compile again")
    shift = position - fixed_of(low.program.read(op.args["bias"][0])).position
    if max(shift, 0) > 40 or shift < -40:
        raise InputError(
            "Q1204", op.name, f"a bias shift of {shift}", "at most 40", "check the fix points of the model"
        )
    if shift < 0 and _drops_fractions(op, position):
        return Filter(x, weights, bias >> -shift, group, windows, position)
    return Filter(
        x, weights << max(0, -shift), bias << max(0, shift), group, windows, position - min(0, shift)
    )


def _drops_fractions(op: XOp, position: int) -> bool:
    """Whether a bias may lose its bits below the accumulator: floor((acc + bias) / 2**s + 1/2) does not see them."""
    rounding = fixed_of(op).rounding
    plain = nonlinear_of(op) in ("NONE", "RELU", "RELU6")
    return plain and rounding is Rounding.HALF_UP and position > fixed_of(op).position


def run_filter(low: Lowering, op: XOp, filter_: Filter) -> Held:
    """The filter, the activation and the rounding of `op`, by the quickest way that is exact."""
    nonlinear = nonlinear_of(op)
    if nonlinear in ("HSIGMOID", "HSWISH"):
        inner = hard_sigmoid_input(op)
        name = rounded_filter(low, filter_, inner)
        if name is not None:
            return apply_hard(low, op, Held(name, inner, op.tensor.shape))
    target = bytes_of(op)
    if nonlinear == "LEAKYRELU":
        name = leaky_filter(low, filter_, target)
    elif nonlinear not in ("HSIGMOID", "HSWISH"):
        name = rounded_filter(low, filter_, target)
        limits = limits_of(op, target)
        if name is not None and limits != (-zero_of(target), 255 - zero_of(target)):
            name = low.builder.clip(name, limits[0] + zero_of(target), limits[1] + zero_of(target), "uint8")
    if name is not None:
        return low.hold(op, name)
    shift = filter_.position - target.position
    dtype = real_type(
        op, filter_.magnitude << (LEAKY_RELU_SLOPE.shift + 1), shift + LEAKY_RELU_SLOPE.shift + 1
    )
    return finish_real(low, op, accumulators(low, op, filter_, dtype), filter_.position, dtype)


def rounded_filter(low: Lowering, filter_: Filter, target: Fixed) -> str | None:
    """One QLinearConv; None where it would not be exact. Saturates at the limits of a byte."""
    shift, zero = filter_.position - target.position, zero_of(target)
    scale, offset, point = 2.0**-shift, 0, zero
    if not -32 <= shift <= (16 if target.rounding is Rounding.HALF_EVEN else 14):
        return None
    if shift > 0 and target.rounding is Rounding.HALF_AWAY:
        scale *= ABOVE_ONE
    elif shift > 0 and target.rounding is Rounding.HALF_UP:
        scale, offset, point = scale * ABOVE_ONE, zero << shift, 0
    return _convolve(low, filter_, scale, offset, point)


def leaky_filter(low: Lowering, filter_: Filter, target: Fixed) -> str | None:
    """Two QLinearConvs, one for each side of zero; None where that would not be exact.

    On the negative side accumulators count in steps of 13 * 2**-(s + 7): products stay exact for s <= 10, and with
    a scale that is one float off, no other number comes near a tie for s <= 7.
    """
    shift, zero = filter_.position - target.position, zero_of(target)
    if not 0 <= shift <= (10 if target.rounding is Rounding.HALF_EVEN else 7) or not target.signed:
        return None
    if target.bits != 8:
        return None
    positive = rounded_filter(low, filter_, target)
    nudge = {Rounding.HALF_UP: BELOW_ONE, Rounding.HALF_AWAY: ABOVE_ONE}.get(target.rounding, 1.0)
    slope = float(np.float32(LEAKY_RELU_SLOPE.value * nudge)) * 2.0**-shift
    negative = _convolve(low, filter_, slope, 0, zero)
    if positive is None or negative is None:
        return None
    builder = low.builder
    one, middle = builder.constant(1.0, "float32"), builder.constant(zero, "uint8")
    parts = builder.clip(positive, zero, 255, "uint8"), builder.clip(negative, 0, zero, "uint8")
    operands = [parts[0], one, middle, parts[1], one, middle, one, middle]
    return builder.node("QLinearAdd", operands, domain=CONTRIB)


def _convolve(low: Lowering, filter_: Filter, scale: float, offset: int, point: int) -> str | None:
    """QLinearConv with these constants; None where weights or accumulators do not fit its integers."""
    if filter_.magnitude + abs(offset) >= INT32 or np.abs(filter_.weights).max(initial=0) > 128:
        return None
    builder, x = low.builder, filter_.x
    if filter_.weights.max(initial=0) > 127:
        return None
    name, windows = _within_padding(low, filter_)
    one, bias = builder.constant(1.0, "float32"), builder.constant(filter_.bias + offset, "int32")
    weights, weight_zero = _weight_constants(low, filter_.weights)
    inputs = [name, one, builder.constant(x.zero, "uint8"), weights, builder.constant(scale, "float32")]
    inputs += [weight_zero, one, builder.constant(point, "uint8"), bias]
    return builder.node(
        "QLinearConv", inputs, domain=CONTRIB, channels_last=1, group=filter_.group, **_attributes(windows)
    )


def _weight_constants(low: Lowering, weights: Int64Array) -> tuple[str, str]:
    """Weights and their zero point: signed bytes, or unsigned ones around 128 for processors without VNNI."""
    builder = low.builder
    if low.signed_weights:
        return builder.constant(weights, "int8"), builder.constant(0, "int8")
    return builder.constant(weights + 128, "uint8"), builder.constant(128, "uint8")


def accumulators(low: Lowering, op: XOp, filter_: Filter, dtype: str) -> str:
    """The exact accumulators as floats [N, *space, M], by ConvInteger: slower, always right.

    Raises:
        InputError: Q1204 when an accumulator might not fit 32 bits.
    """
    builder, x = low.builder, filter_.x
    plain = filter_.weights
    finer = 0
    while plain.size and not (plain & 1).any() and np.abs(plain).max() > 127:
        plain, finer = plain >> 1, finer + 1
    if (
        filter_.magnitude >> finer >= INT32
        or np.abs(plain).max(initial=0) > 128
        or plain.max(initial=0) > 127
    ):
        found = f"accumulators up to {filter_.magnitude >> finer}"
        raise InputError("Q1204", op.name, found, "at most 31 bits", "check the fix points of the model")
    name, windows = _within_padding(low, filter_)
    axes = (0, len(x.shape) - 1, *range(1, len(x.shape) - 1))
    name = builder.node("Transpose", [name], perm=axes)
    weights, weight_zero = _weight_constants(low, plain)
    inputs = [name, weights, builder.constant(x.zero, "uint8"), weight_zero]
    name = builder.node("ConvInteger", inputs, group=filter_.group, **_attributes(windows))
    name = builder.node("Transpose", [name], perm=(0, *range(2, len(x.shape)), 1))
    name = builder.cast(name, dtype)
    if finer:
        name = builder.binary("Mul", name, 2.0**finer, dtype)
    return builder.binary("Add", name, filter_.bias, dtype)


def _within_padding(low: Lowering, filter_: Filter) -> tuple[str, Windows]:
    """The input, cropped where padding is negative, and windows without negative padding."""
    x, windows = filter_.x, filter_.windows
    sides = list(zip(windows.begin, windows.end, strict=True))
    cuts = {
        axis + 1: slice(max(0, -b), -max(0, -e) or None) for axis, (b, e) in enumerate(sides) if min(b, e) < 0
    }
    if not cuts:
        return x.name, windows
    begin, end = tuple(max(0, b) for b, _ in sides), tuple(max(0, e) for _, e in sides)
    name = low.builder.crop(x.name, cuts)
    return name, Windows(windows.kernel, windows.stride, windows.dilation, begin, end)


def stuffed(low: Lowering, x: Held, windows: Windows) -> tuple[Held, Windows]:
    """Zeros between the pixels; the stride - 1 that follow the last pixel count as padding."""
    inner = windows.stuffed()
    space, stride = x.shape[1:-1], windows.stride
    if max(stride) == 1:
        return x, inner
    split = [size for n in space for size in (n, 1)]
    pairs = [(0, 0), *(pair for s in stride for pair in ((0, 0), (0, s - 1))), (0, 0)]
    sizes = tuple(n * s for n, s in zip(space, stride, strict=True))
    name = low.builder.reshape(x.name, (-1, *split, x.shape[-1]))
    name = low.builder.reshape(low.builder.pad(name, pairs, x.zero), (-1, *sizes, x.shape[-1]))
    end = tuple(e - (s - 1) for e, s in zip(inner.end, stride, strict=True))
    held = Held(name, x.fixed, (x.shape[0], *sizes, x.shape[-1]))
    return held, Windows(inner.kernel, inner.stride, inner.dilation, inner.begin, end)


def lower_pool(low: Lowering, op: XOp) -> Held:
    """pool-fix: a byte-wise maximum, or a depthwise convolution with the numerator of the DPU's factor."""
    x = low.input(op)
    windows = windows_of(op, x.shape[1:-1])
    check_shape(op, (op.tensor.shape[0], *windows.counts(x.shape[1:-1]), x.shape[-1]))
    if op.get("type") == "MAX":
        return requantized(low, op, Held(_maximum(low, x, windows), x.fixed, op.tensor.shape))
    if op.get("type") != "AVG":
        raise InputError(
            "Q1203", op.name, f"{op.kind} of type {op.get('type')!r}", "MAX or AVG", "compile again"
        )
    factor = average_pool_factor(windows.kernel)
    if op.get("avg_exact", False):
        counts = window_counts(op, x.shape[1:-1], windows)
        exact = exact_factor(counts)
        if exact is None:
            return _exact_average(low, op, x, windows, counts)
        factor = exact
    channels = x.shape[-1]
    taps = np.full((channels, 1, *windows.kernel), factor.numerator, np.int64)
    position = x.fixed.position + factor.shift
    return run_filter(low, op, Filter(x, taps, np.zeros(channels, np.int64), channels, windows, position))


def _maximum(low: Lowering, x: Held, windows: Windows) -> str:
    """The largest byte of each window; what lies outside is 0, the smallest."""
    name = x.name
    if any(p >= k for p, k in zip((*windows.begin, *windows.end), windows.kernel * 2, strict=True)):
        pairs = [(0, 0), *zip(windows.begin, windows.end, strict=True), (0, 0)]
        name, none = low.builder.pad(name, pairs, 0), (0,) * windows.rank
        windows = Windows(windows.kernel, windows.stride, windows.dilation, none, none)
    return low.builder.node("NhwcMaxPool", [name], domain=CONTRIB, **_attributes(windows))


def _exact_average(low: Lowering, op: XOp, x: Held, windows: Windows, counts: Int64Array) -> Held:
    """Sum over count: sums are exact, the quotient is rounded to 53 bits, which keeps ties and their sides."""
    builder, target = low.builder, bytes_of(op)
    channels = x.shape[-1]
    taps = np.ones((channels, 1, *windows.kernel), np.int64)
    filter_ = Filter(x, taps, np.zeros(channels, np.int64), channels, windows, x.fixed.position)
    if windows.kernel == x.shape[1:-1] and counts.size == 1:
        axes = tuple(range(1, len(x.shape) - 1))
        total = builder.node(
            "ReduceSum", [to_real(low, x, "float32"), builder.constant(axes, "int64")], keepdims=1
        )
        total = builder.cast(total, "float64")
    else:
        total = accumulators(low, op, filter_, "float64")
    real_type(op, filter_.magnitude << 8, x.fixed.position - target.position)
    mean = builder.binary("Div", total, counts, "float64")
    name = round_real(builder, mean, x.fixed.position, target, limits_of(op, target), "float64", True)
    return low.hold(op, name)


def _attributes(windows: Windows) -> dict[str, Any]:
    return {
        "kernel_shape": windows.kernel,
        "strides": windows.stride,
        "dilations": windows.dilation,
        "pads": (*windows.begin, *windows.end),
    }

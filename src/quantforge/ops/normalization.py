"""Normalizations, each (x - mean) / sqrt(var + epsilon) * gamma + beta over axes of its own; and l2-normalize.

    batchnorm: stored mean and variance per channel · instancenorm: over space, per image and channel
    groupnorm: over groups of channels and space · layernorm: over the axes from `axis` on
    l2-normalize: x / (sum |x|**p)**(1/p) along `axis`, 0 where the sum is 0

Float: evaluated in float64, rounded once. No integer form: batchnorm is folded before quantization, the others
run in float on dequantized values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantforge.graph import Array, Op
from quantforge.ops.activation import infer
from quantforge.ops.attributes import integer, mismatch, number, optional, present, text
from quantforge.ops.integer import Float64Array
from quantforge.ops.opspec import Compute, OpSpec, Traits


def compute_batch(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Inputs x, gamma, beta, mean, variance."""
    x = present(op, arrays)
    gamma, beta, mean, variance = (_per_channel(op, arrays, index, x) for index in range(1, 5))
    scale = gamma / np.sqrt(variance + number(op, "epsilon", 1e-5))
    return [((x - mean) * scale + beta).astype(x.dtype)]


def compute_instance(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Inputs x, gamma, beta."""
    x = present(op, arrays)
    channel = _channel_axis(op, x)
    axes = tuple(axis for axis in range(1, x.ndim) if axis != channel)
    normal = _normal(x.astype(np.float64), axes, number(op, "epsilon", 1e-5))
    return [(normal * _per_channel(op, arrays, 1, x) + _per_channel(op, arrays, 2, x)).astype(x.dtype)]


def compute_group(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Inputs x, gamma, beta; `groups` of consecutive channels."""
    x = present(op, arrays)
    channel, groups = _channel_axis(op, x), integer(op, "groups")
    first = np.moveaxis(x, channel, 1).astype(np.float64)
    if first.shape[1] % groups:
        raise mismatch(op, f"{first.shape[1]} channels", f"a multiple of {groups} groups")
    split = first.reshape(x.shape[0], groups, -1)
    normal = _normal(split, (2,), number(op, "epsilon", 1e-5)).reshape(first.shape)
    back = np.moveaxis(normal, 1, channel)
    return [(back * _per_channel(op, arrays, 1, x) + _per_channel(op, arrays, 2, x)).astype(x.dtype)]


def compute_layer(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Inputs x, gamma and optionally beta, which broadcast."""
    x, gamma, beta = present(op, arrays), present(op, arrays, 1), optional(arrays, 2)
    axis = integer(op, "axis", -1) % x.ndim
    normal = _normal(x.astype(np.float64), tuple(range(axis, x.ndim)), number(op, "epsilon", 1e-5))
    y = normal * gamma
    return [(y if beta is None else y + beta).astype(x.dtype)]


def compute_l2(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """p = 1 or 2."""
    x, p = present(op, arrays), integer(op, "p", 2)
    if p not in (1, 2):
        raise mismatch(op, f"p = {p}", "1 or 2")
    wide, axis = np.abs(x.astype(np.float64)), integer(op, "axis", -1)
    size = wide.sum(axis=axis, keepdims=True) if p == 1 else np.sqrt((wide**2).sum(axis=axis, keepdims=True))
    return [(x / np.where(size == 0, 1.0, size)).astype(x.dtype)]


def _normal(x: Float64Array, axes: tuple[int, ...], epsilon: float) -> Float64Array:
    centered = x - x.mean(axis=axes, keepdims=True)
    return np.asarray(centered / np.sqrt((centered**2).mean(axis=axes, keepdims=True) + epsilon))


def _channel_axis(op: Op, x: Array) -> int:
    layout = text(op, "layout", "")
    return layout.index("C") if len(layout) == x.ndim else min(1, x.ndim - 1)


def _per_channel(op: Op, arrays: Sequence[Array | None], index: int, x: Array) -> Float64Array:
    axis = _channel_axis(op, x)
    values = present(op, arrays, index).astype(np.float64)
    if values.size not in (1, x.shape[axis]):
        raise mismatch(op, f"{values.size} parameters for {x.shape[axis]} channels", "one per channel")
    return values.reshape([-1 if d == axis else 1 for d in range(x.ndim)])


_KERNELS: dict[str, Compute] = {
    "batchnorm": compute_batch,
    "instancenorm": compute_instance,
    "groupnorm": compute_group,
    "layernorm": compute_layer,
    "l2-normalize": compute_l2,
}
SPECS = tuple(OpSpec(kind, Traits("normalize"), infer, compute) for kind, compute in _KERNELS.items())

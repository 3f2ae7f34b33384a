"""Reductions over axes: mean, sum, max, min; and argmax.

Float: sums in float64, rounded once. Integer: exact; a mean is the sum with the count as divisor, or with the
attribute `dpu_factor` = (N, M) the sum times N / 2**M, as for average pooling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from quantforge.graph import Array, Op, Shape, Value
from quantforge.ops.attributes import flag, integer, ints, present
from quantforge.ops.integer import SAFE, IntTensor, Tensors
from quantforge.ops.opspec import OpSpec, Traits, TypedShape, no_integer_form
from quantforge.ops.pooling import dpu_factor, scaled_mean

Reduce = Callable[..., Array]


def infer(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """Size 1 on the reduced axes, or without them."""
    x = present(op, inputs)
    return [(_reduced(op, x.shape, _axes), x.dtype)]


def infer_argmax(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """As a reduction, of int64."""
    return [(_reduced(op, present(op, inputs).shape, _argmax_axes), "int64")]


def compute_mean(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Mean over `axes`."""
    x = present(op, arrays)
    factor, axes = dpu_factor(op), _axes(op, x.ndim)
    total = x.astype(np.float64).sum(axis=axes, keepdims=flag(op, "keepdims", True))
    if factor is not None:
        return [np.asarray(np.ldexp(total * factor[0], -factor[1]), x.dtype)]
    return [np.asarray(total / _count(x, axes), x.dtype)]


def compute_sum(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Sum over `axes`."""
    x = present(op, arrays)
    wide = np.float64 if x.dtype.kind == "f" else x.dtype
    return [np.asarray(_reduce(op, np.sum, x.astype(wide)), x.dtype)]


def _extreme(reduce: Reduce) -> OpSpec:
    kind = "reduction-max" if reduce is np.max else "reduction-min"

    def compute(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
        return [_reduce(op, reduce, present(op, arrays))]

    def compute_integer(op: Op, tensors: Tensors) -> list[IntTensor] | None:
        x = tensors[0]
        if not isinstance(x, IntTensor) or x.axis is not None:
            return None
        return [x.with_data(_reduce(op, reduce, x.data))]

    return OpSpec(kind, Traits("reduce"), infer, compute, compute_integer)


def integer_sum(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """Exact."""
    x = tensors[0]
    if not isinstance(x, IntTensor) or x.axis is not None:
        return None
    x = x.centered()
    if x.magnitude * x.data.size >= SAFE:
        return None
    return [x.with_data(_reduce(op, np.sum, x.data))]


def integer_mean(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """The sum over the count, or times the DPU's factor."""
    x = tensors[0]
    if not isinstance(x, IntTensor) or x.axis is not None:
        return None
    x = x.centered()
    if x.magnitude * x.data.size >= SAFE:
        return None
    counts = np.asarray(_count(x.data, _axes(op, x.data.ndim)), np.int64)
    return scaled_mean(x, _reduce(op, np.sum, x.data), counts, dpu_factor(op))


def compute_argmax(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Index of the first largest element along `axis`."""
    x = present(op, arrays)
    return [np.argmax(x, axis=integer(op, "axis", 0), keepdims=flag(op, "keepdims", True))]


def _reduce(op: Op, reduce: Reduce, x: Array) -> Array:
    return np.asarray(reduce(x, axis=_axes(op, x.ndim), keepdims=flag(op, "keepdims", True)))


def _axes(op: Op, rank: int) -> tuple[int, ...]:
    axes = ints(op, "axes", ())
    return tuple(axis % rank for axis in axes) if axes else tuple(range(rank))


def _argmax_axes(op: Op, rank: int) -> tuple[int, ...]:
    return (integer(op, "axis", 0) % rank,)


def _reduced(op: Op, shape: Shape | None, axes_of: Callable[[Op, int], tuple[int, ...]]) -> Shape | None:
    if shape is None:
        return None
    axes = axes_of(op, len(shape))
    if flag(op, "keepdims", True):
        return tuple(1 if i in axes else dim for i, dim in enumerate(shape))
    return tuple(dim for i, dim in enumerate(shape) if i not in axes)


def _count(x: Array, axes: tuple[int, ...]) -> int:
    return int(np.prod([x.shape[axis] for axis in axes], dtype=np.int64))


SPECS = (
    OpSpec("reduction-mean", Traits("reduce"), infer, compute_mean, integer_mean),
    OpSpec("reduction-sum", Traits("reduce"), infer, compute_sum, integer_sum),
    _extreme(np.max),
    _extreme(np.min),
    OpSpec("argmax", Traits("float"), infer_argmax, compute_argmax, no_integer_form),
)

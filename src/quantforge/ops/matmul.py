"""Matrix products: matmul (batched, broadcasting) and inner-product (x W + b with constant weights).

Float: float64 sums, rounded once. Integer: exact accumulators on the product of the scales.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantforge.graph import Array, Op, Shape, Value
from quantforge.ops.attributes import mismatch, optional, present, text
from quantforge.ops.convolution import add_bias
from quantforge.ops.dims import broadcast, count
from quantforge.ops.integer import IntTensor, Tensors, exact_dtype
from quantforge.ops.opspec import OpSpec, Traits, TypedShape


def infer(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """Leading axes broadcast; the inner size goes."""
    x, weights = present(op, inputs), present(op, inputs, 1)
    if x.shape is None or weights.shape is None or not x.shape or not weights.shape:
        return [(None, x.dtype)]
    left, right = x.shape, tuple(reversed(weights.shape)) if _is_flipped(op) else weights.shape
    inner = right[-2] if len(right) > 1 else right[0]
    if isinstance(left[-1], int) and isinstance(inner, int) and left[-1] != inner:
        raise mismatch(op, f"{left} times {right}", "equal inner sizes")
    lead = broadcast(op.name, [left[:-2], right[:-2]]) or ()
    rows = left[-2:-1] if len(left) > 1 else ()
    columns = right[-1:] if len(right) > 1 else ()
    return [((*lead, *rows, *columns), x.dtype)]


def compute(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """x times weights, plus bias."""
    x, weights, bias = present(op, arrays), present(op, arrays, 1), optional(arrays, 2)
    wide = np.float64 if x.dtype.kind == "f" else x.dtype
    y = _multiply(op, x.astype(wide), weights.astype(wide))
    return [np.asarray(y if bias is None else y + bias, x.dtype)]


def compute_integer(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """The exact accumulator."""
    x, weights, bias = tensors[0], tensors[1], optional(tensors, 2)
    if not isinstance(x, IntTensor) or not isinstance(weights, IntTensor) or x.data.ndim < 2:
        return None
    x, weights = x.centered(), weights.centered()
    rank = weights.data.ndim
    columns = 0 if _is_flipped(op) else rank - 1
    dtype = exact_dtype(x.shape[-1], x, weights)
    if x.axis is not None or weights.axis not in (None, columns) or dtype is None:
        return None
    y = _multiply(op, x.data.astype(dtype), weights.data.astype(dtype)).astype(np.int64)
    axis = None if weights.axis is None else y.ndim - 1
    result = IntTensor(y, x.scale * weights.scale, axis=axis, divisor=x.divisor * weights.divisor)
    summed = result if bias is None else add_bias(result, bias, y.ndim - 1)
    return None if summed is None else [summed]


def macs(op: Op, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]) -> int:
    """Output elements times the inner size."""
    return count(present(op, outputs)) * count(present(op, inputs)[-1:])


def _multiply(op: Op, x: Array, weights: Array) -> Array:
    right = weights.T if _is_flipped(op) else weights
    if x.ndim < 1 or right.ndim < 1 or x.shape[-1] != right.shape[-2 if right.ndim > 1 else 0]:
        raise mismatch(op, f"{x.shape} times {right.shape}", "equal inner sizes")
    return np.asarray(x @ right)


def _is_flipped(op: Op) -> bool:
    return text(op, "weight_layout", "IO") == "OI"


SPECS = tuple(
    OpSpec(kind, Traits("weighted", ("O", "I")), infer, compute, compute_integer, macs)
    for kind in ("matmul", "inner-product")
)

"""Reductions over axes, matrix products, softmax and norms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quantforge.runtime.fixed import Array
from quantforge.xmodel.model import XOp

Arrays = dict[str, list[Array]]
Kernel = Callable[[XOp, Arrays], Array]


def _reduction(function: Callable[..., Array]) -> Kernel:
    def compute(op: XOp, arrays: Arrays) -> Array:
        x = arrays["input"][0]
        result = function(
            x.astype(np.float64), axis=_axes(op, x.ndim), keepdims=bool(op.get("keep_dims", False))
        )
        return np.asarray(result, x.dtype)

    return compute


def mean(op: XOp, arrays: Arrays) -> Array:
    """The mean; with `dpu_factor` (N, M) the sum times N / 2**M."""
    x, keep = arrays["input"][0], bool(op.get("keep_dims", False))
    axes, factor = _axes(op, x.ndim), op.get("dpu_factor")
    total = x.sum(axis=axes, keepdims=keep, dtype=np.float64)
    count = int(np.prod([x.shape[axis] for axis in axes]))
    return np.asarray(total / count if factor is None else np.ldexp(total * factor[0], -factor[1]), x.dtype)


def argmax(op: XOp, arrays: Arrays) -> Array:
    """Index of the first largest element along `axis`, which becomes 1 long."""
    index = np.argmax(arrays["input"][0], axis=int(op.get("axis", -1)), keepdims=True)
    return np.asarray(index, op.tensor.dtype.numpy or np.int32)


def softmax(op: XOp, arrays: Arrays) -> Array:
    """exp(x - max) over its sum along `axis`, in float32."""
    x, axis = arrays["input"][0], int(op.get("axis", -1))
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def hard_softmax(op: XOp, arrays: Arrays) -> Array:
    """2**(x - max) over its sum: the powers of two that hardware shifts by."""
    x, axis = arrays["input"][0], int(op.get("axis", -1))
    powers = np.exp2(x - x.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def l2_normalize(op: XOp, arrays: Arrays) -> Array:
    """x over the square root of its sum of squares along `axis`, which is at least `epsilon`."""
    x = arrays["input"][0].astype(np.float64)
    axes = _axes(op, x.ndim)
    squares = np.maximum((x * x).sum(axis=axes, keepdims=True), float(op.get("epsilon", 1e-12)))
    return np.asarray(x / np.sqrt(squares), np.float32)


def normalize(op: XOp, arrays: Arrays) -> Array:
    """x over its p-norm along `dim`, p = 2."""
    x = arrays["input"][0].astype(np.float64)
    power, axis = float(op.get("p", 2)), int(op.get("dim", -1))
    norm = (np.abs(x) ** power).sum(axis=axis, keepdims=True) ** (1 / power)
    return np.asarray(x / np.maximum(norm, 1e-12), np.float32)


def matmul(op: XOp, arrays: Arrays) -> Array:
    """The product of two stacks of matrices, either of them transposed, plus a bias."""
    a, b = arrays["input"]
    a = a.swapaxes(-1, -2) if op.get("transpose_a", False) else a
    b = b.swapaxes(-1, -2) if op.get("transpose_b", False) else b
    product = np.matmul(a.astype(np.float64), b.astype(np.float64))
    return np.asarray(product + arrays["bias"][0] if "bias" in arrays else product, np.float32)


def inner_product(op: XOp, arrays: Arrays) -> Array:
    """Everything from `axis` on times the rows of the weights."""
    x, weights = arrays["input"][0], arrays["weights"][0]
    axis = int(op.get("axis", 1)) % x.ndim
    flat = x.reshape(*x.shape[:axis], -1).astype(np.float64)
    product = flat @ weights.reshape(len(weights), -1).T.astype(np.float64)
    product = product + arrays["bias"][0] if "bias" in arrays else product
    return product.reshape(len(x), *op.tensor.shape[1:]).astype(np.float32)


def topk(op: XOp, arrays: Arrays) -> Array:
    """Pairs (index, value) of the k largest along the last axis, largest first."""
    x, k = arrays["input"][0], int(op.get("k", op.get("K", 1)))
    order = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    pairs = np.stack([order.astype(x.dtype), np.take_along_axis(x, order, -1)], axis=-1)
    return pairs.reshape(len(x), *op.tensor.shape[1:])


def _axes(op: XOp, rank: int) -> tuple[int, ...]:
    axes = op.get("axis", ())
    axes = axes if isinstance(axes, tuple) else (axes,)
    return tuple(int(axis) % rank for axis in axes) or tuple(range(rank))


KERNELS: dict[str, Kernel] = {
    "reduction_mean": mean,
    "reduction_sum": _reduction(np.sum),
    "reduction_max": _reduction(np.max),
    "reduction_product": _reduction(np.prod),
    "argmax": argmax,
    "softmax": softmax,
    "hard-softmax": hard_softmax,
    "l2_normalize": l2_normalize,
    "normalize": normalize,
    "my_normalize": normalize,
    "matmul": matmul,
    "inner-product": inner_product,
    "topk": topk,
}

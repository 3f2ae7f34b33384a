"""Operators that work element by element, with NumPy broadcasting, and normalizations by stored statistics."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

import numpy as np

from quantforge.runtime.fixed import Array
from quantforge.xmodel.model import XOp

Arrays = dict[str, list[Array]]
Kernel = Callable[[XOp, Arrays], Array]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _unary(function: Callable[[Array], Array]) -> Kernel:
    def compute(op: XOp, arrays: Arrays) -> Array:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return function(arrays["input"][0])

    return compute


def _with_alpha(function: Callable[[Array, float], Array], default: float) -> Kernel:
    def compute(op: XOp, arrays: Arrays) -> Array:
        with np.errstate(over="ignore"):
            return function(arrays["input"][0], float(op.get("alpha", default)))

    return compute


def _fold(function: Callable[[Array, Array], Array]) -> Kernel:
    def compute(op: XOp, arrays: Arrays) -> Array:
        with np.errstate(all="ignore"):
            return reduce(function, arrays["input"])

    return compute


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + small), small / (1 + small)), x.dtype)


def _erf(x: Array) -> Array:
    """Gauss error function; NumPy has none."""
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))


def _gelu(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + _erf(x / math.sqrt(2))), x.dtype)


def _hard_sigmoid(x: Array) -> Array:
    return np.asarray(np.clip(x + 3, 0, 6) / 6, x.dtype)


def _elu(x: Array, alpha: float) -> Array:
    return np.asarray(np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))), x.dtype)


def _celu(x: Array, alpha: float) -> Array:
    negative = alpha * np.expm1(np.minimum(x, 0) / alpha)
    return np.asarray(np.maximum(x, 0) + np.minimum(0, negative), x.dtype)


def _leaky(x: Array, alpha: float) -> Array:
    return np.asarray(np.where(x < 0, x * x.dtype.type(alpha), x))


def prelu(op: XOp, arrays: Arrays) -> Array:
    """Negative values times the slope, which broadcasts."""
    x = arrays["input"][0]
    return np.where(x < 0, x * arrays["weight"][0], x)


def clamp(op: XOp, arrays: Arrays) -> Array:
    """Between the attributes min and max."""
    return np.clip(arrays["input"][0], np.float32(op.get("min", -np.inf)), np.float32(op.get("max", np.inf)))


def clipped_relu(op: XOp, arrays: Arrays) -> Array:
    """Between 0 and `ceiling`, or `threshold`, or 6."""
    ceiling = op.get("ceiling", op.get("threshold", 6.0))
    return np.clip(arrays["input"][0], np.float32(0), np.float32(ceiling))


def threshold(op: XOp, arrays: Arrays) -> Array:
    """1 where the input is at least the threshold, else 0."""
    return (arrays["input"][0] >= arrays["threshold"][0]).astype(op.tensor.dtype.numpy or np.float32)


def batchnorm(op: XOp, arrays: Arrays) -> Array:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta along `axis`."""
    x = arrays["input"][0]
    shape = _along(op, x.ndim, -1)
    gamma, beta, mean, variance = (
        arrays[name][0].reshape(shape).astype(np.float64)
        for name in (
            "gamma",
            "beta",
            "moving_mean",
            "moving_variance" if "moving_variance" in arrays else "moving_var",
        )
    )
    factor = gamma / np.sqrt(variance + float(op.get("epsilon", 1e-5)))
    return np.asarray(x * factor + (beta - mean * factor), x.dtype)


def scale(op: XOp, arrays: Arrays) -> Array:
    """One factor and one offset per element of `axis`."""
    x = arrays["input"][0]
    shape = _along(op, x.ndim, -1)
    result = x * arrays["scale"][0].reshape(shape)
    return result + arrays["bias"][0].reshape(shape) if "bias" in arrays else result


def groupnorm(op: XOp, arrays: Arrays) -> Array:
    """instancenorm and groupnorm: mean 0 and variance 1 per sample and group of channels; channels are last."""
    x = arrays["input"][0]
    channels = x.shape[-1]
    groups = channels if op.kind == "instancenorm" else int(op.get("num_groups", 1))
    split = x.astype(np.float64).reshape(len(x), -1, groups, channels // groups)
    mean, variance = split.mean(axis=(1, 3), keepdims=True), split.var(axis=(1, 3), keepdims=True)
    normal = ((split - mean) / np.sqrt(variance + float(op.get("eps", 1e-5)))).reshape(x.shape)
    for name, combine in (("weight", np.multiply), ("bias", np.add)):
        if name in arrays:
            normal = combine(normal, arrays[name][0])
    return np.asarray(normal, x.dtype)


def _along(op: XOp, rank: int, default: int) -> list[int]:
    axis = int(op.get("axis", default)) % rank
    return [-1 if at == axis else 1 for at in range(rank)]


KERNELS: dict[str, Kernel] = {
    "add": _fold(np.add),
    "sub": _fold(np.subtract),
    "mul": _fold(np.multiply),
    "div": _fold(np.divide),
    "min": _fold(np.minimum),
    "max": _fold(np.maximum),
    "relu": _unary(lambda x: np.maximum(x, x.dtype.type(0))),
    "relu6": _unary(lambda x: np.clip(x, x.dtype.type(0), x.dtype.type(6))),
    "leaky-relu": _with_alpha(_leaky, 0.01),
    "elu": _with_alpha(_elu, 1.0),
    "celu": _with_alpha(_celu, 1.0),
    "selu": _unary(lambda x: np.asarray(SELU_SCALE * _elu(x, SELU_ALPHA), x.dtype)),
    "gelu": _unary(_gelu),
    "mish": _unary(lambda x: np.asarray(x * np.tanh(np.logaddexp(0, x)), x.dtype)),
    "sigmoid": _unary(_sigmoid),
    "swish": _unary(lambda x: np.asarray(x * _sigmoid(x))),
    "tanh": _unary(np.tanh),
    "hard-tanh": _unary(lambda x: np.clip(x, x.dtype.type(-1), x.dtype.type(1))),
    "hard-sigmoid": _unary(_hard_sigmoid),
    "hard-swish": _unary(lambda x: np.asarray(x * _hard_sigmoid(x))),
    "exp": _unary(np.exp),
    "neg": _unary(np.negative),
    "sin": _unary(np.sin),
    "cos": _unary(np.cos),
    "aten__sin": _unary(np.sin),
    "aten__cos": _unary(np.cos),
    "prelu": prelu,
    "clamp": clamp,
    "ClippedRelu": clipped_relu,
    "threshold": threshold,
    "batchnorm": batchnorm,
    "scale": scale,
    "instancenorm": groupnorm,
    "groupnorm": groupnorm,
}

"""Unary functions with an output range of their own, and softmax.

Float: evaluated in float64 and rounded once. Only abs and neg have an exact integer form; the others run in
float on dequantized values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from quantforge.graph import Array, Op
from quantforge.ops.activation import infer, unary
from quantforge.ops.attributes import integer, number, present, text
from quantforge.ops.integer import Float64Array, IntTensor, Tensors
from quantforge.ops.opspec import OpSpec, Traits

SELU_ALPHA = 1.6732632423543772
SELU_GAMMA = 1.0507009873554805

_erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x: Float64Array) -> Float64Array:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


def softplus(x: Float64Array) -> Float64Array:
    """log(1 + exp(x))."""
    return np.logaddexp(0.0, x)


def gelu(op: Op, x: Float64Array) -> Float64Array:
    """x times the normal distribution function, or its tanh approximation."""
    if text(op, "approximate", "none", ("none", "tanh")) == "tanh":
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    return np.asarray(0.5 * x * (1.0 + _erf(x / math.sqrt(2.0))))


def _elu(op: Op, x: Float64Array) -> Float64Array:
    return np.where(x < 0, number(op, "alpha", 1.0) * np.expm1(x), x)


def _selu(op: Op, x: Float64Array) -> Float64Array:
    alpha, gamma = number(op, "alpha", SELU_ALPHA), number(op, "gamma", SELU_GAMMA)
    return gamma * np.where(x < 0, alpha * np.expm1(x), x)


def compute_softmax(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """exp(x - max) / sum along `axis`."""
    x = present(op, arrays)
    axis = integer(op, "axis", -1)
    wide = x.astype(np.float64)
    power = np.exp(wide - wide.max(axis=axis, keepdims=True))
    return [(power / power.sum(axis=axis, keepdims=True)).astype(x.dtype)]


def compute_log_softmax(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """x - max - log of the sum of exp(x - max) along `axis`."""
    x = present(op, arrays)
    axis = integer(op, "axis", -1)
    wide = x.astype(np.float64)
    shifted = wide - wide.max(axis=axis, keepdims=True)
    return [(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))).astype(x.dtype)]


def integer_neg(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """Exact: the sign changes."""
    x = _centered(tensors[0])
    return None if x is None else [x.with_data(-x.data)]


def integer_abs(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """Exact: the sign goes."""
    x = _centered(tensors[0])
    return None if x is None else [x.with_data(np.abs(x.data))]


def _centered(x: IntTensor | Array | None) -> IntTensor | None:
    return x.centered() if isinstance(x, IntTensor) else None


def _native(function: Callable[[Array], Array]) -> Callable[[Op, Sequence[Array | None]], list[Array]]:
    """A kernel that is exact in any dtype, integers included."""
    return lambda op, arrays: [function(present(op, arrays))]


_NONLINEAR = Traits("nonlinear")
_FUNCTIONS: dict[str, Callable[[Op, Float64Array], Array]] = {
    "sigmoid": lambda op, x: sigmoid(x),
    "swish": lambda op, x: x * sigmoid(x),
    "tanh": lambda op, x: np.tanh(x),
    "gelu": gelu,
    "elu": _elu,
    "selu": _selu,
    "mish": lambda op, x: x * np.tanh(softplus(x)),
    "softplus": lambda op, x: softplus(x),
    "exp": lambda op, x: np.exp(x),
    "log": lambda op, x: np.log(x),
    "sqrt": lambda op, x: np.sqrt(x),
    "reciprocal": lambda op, x: 1.0 / x,
    "erf": lambda op, x: np.asarray(_erf(x)),
}
SPECS = (
    *(OpSpec(kind, _NONLINEAR, infer, unary(function)) for kind, function in _FUNCTIONS.items()),
    OpSpec("abs", _NONLINEAR, infer, _native(np.abs), integer_abs),
    OpSpec("neg", _NONLINEAR, infer, _native(np.negative), integer_neg),
    OpSpec("softmax", _NONLINEAR, infer, compute_softmax),
    OpSpec("log-softmax", _NONLINEAR, infer, compute_log_softmax),
)

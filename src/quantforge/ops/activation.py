"""Activations that can be fused into the operator before them.

    relu max(0, x) · relu6 min(max(0, x), 6) · clip(min, max) · leaky-relu x or alpha x · prelu x or slope x
    hard-sigmoid min(max(0, alpha x + beta), 1) · hard-swish x min(max(0, x + 3), 6) / 6

The DPU's versions are these with its constants as attributes: leaky-relu with alpha 26/256, hard-sigmoid with
alpha 2731/16384 and beta 3 * 2731/16384. A constant that is an integer over a power of two has an exact
integer kernel on power-of-two scales; any other runs in float. The DPU's hard-swish rounds in the middle, so it is
two operators: hard-sigmoid with an int8 spec of position 7, then eltwise-mul.

Float: evaluated in float64 and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from quantforge.graph import Array, Op, Value
from quantforge.ops.attributes import number, present
from quantforge.ops.integer import SAFE, Float64Array, IntTensor, Tensors, dyadic, shift_left, spread
from quantforge.ops.opspec import Integer, OpSpec, Traits, TypedShape, no_integer_form

FINEST = 24  # constants with up to this many fractional bits are taken as exact


def infer(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """The shape of the input."""
    x = present(op, inputs)
    return [(x.shape, x.dtype)]


def unary(
    function: Callable[[Op, Float64Array], Array],
) -> Callable[[Op, Sequence[Array | None]], list[Array]]:
    """A float kernel from a function on float64."""

    def compute(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
        x = present(op, arrays)
        with np.errstate(all="ignore"):
            return [np.asarray(function(op, x.astype(np.float64)), x.dtype)]

    return compute


def limits(op: Op) -> tuple[float, float]:
    """Lower and upper bound of a relu, relu6 or clip."""
    if op.kind == "relu":
        return 0.0, math.inf
    if op.kind == "relu6":
        return 0.0, 6.0
    return number(op, "min", -math.inf), number(op, "max", math.inf)


def compute_clip(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Between the op's limits; integers stay integers."""
    x = present(op, arrays)
    low, high = limits(op)
    if x.dtype.kind not in "iu":
        return [np.minimum(np.maximum(x, x.dtype.type(low)), x.dtype.type(high))]
    info = np.iinfo(x.dtype)
    bounds = (int(max(low, info.min)), int(min(high, info.max)))
    return [np.asarray(np.clip(x, *bounds), x.dtype)]


def integer_clip(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """Clamp at limit / scale, on a scale fine enough to hold the limits."""
    x = tensors[0]
    if not isinstance(x, IntTensor):
        return None
    x = x.centered()
    finite = [limit for limit in limits(op) if limit not in (0.0, math.inf, -math.inf)]
    fine = _refined(x, finite)
    if fine is None:
        return None
    data = fine.data
    for limit, clamp in zip(limits(op), (np.maximum, np.minimum), strict=True):
        if math.isfinite(limit):
            bound = np.rint(limit / fine.scale) * fine.divisor  # exact: the scale divides the limit
            bound = np.clip(bound, -SAFE, SAFE)  # no data lies beyond
            data = clamp(data, spread(bound.astype(np.int64), fine.axis, data.ndim))
    return [fine.with_data(data)]


def compute_prelu(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Negative values times the slope, which broadcasts."""
    x, slope = present(op, arrays), present(op, arrays, 1)
    return [np.asarray(np.where(x < 0, x * slope, x), x.dtype)]


def integer_leaky_relu(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """alpha = m / 2**e: negatives times m, the others times 2**e, on a scale 2**e finer."""
    x, ratio = tensors[0], dyadic(number(op, "alpha", 0.01), FINEST)
    if not isinstance(x, IntTensor) or ratio is None:
        return None
    x = x.centered()
    fine = shift_left(x, ratio[1])
    if fine is None or x.magnitude * abs(ratio[0]) >= SAFE:
        return None
    return [fine.with_data(np.where(x.data < 0, x.data * ratio[0], fine.data))]


def integer_prelu(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """Negatives times the integer slope, the others times 1 / scale of the slope."""
    x, slope = tensors[0], tensors[1]
    if not isinstance(x, IntTensor) or not isinstance(slope, IntTensor):
        return None
    x, slope = x.centered(), slope.centered()
    exponents = slope.exponents
    if x.axis is not None or slope.axis is not None or exponents is None or int(exponents) > 0:
        return None
    fine = shift_left(x, -int(exponents))
    if fine is None or x.magnitude * slope.magnitude >= SAFE:
        return None
    return [fine.with_data(np.where(x.data < 0, x.data * slope.data, fine.data))]


def integer_hard_sigmoid(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """alpha x + beta on the scale of alpha times that of x, clamped to what 0 and 1 are there."""
    x = tensors[0]
    alpha, beta = _slope_and_offset(op)
    ratio = dyadic(alpha, FINEST)
    if not isinstance(x, IntTensor) or ratio is None:
        return None
    x = x.centered()
    if x.axis is not None or x.divisor != 1 or x.magnitude * abs(ratio[0]) >= SAFE:
        return None
    product = replace(x, data=x.data * ratio[0], scale=np.ldexp(x.scale, -ratio[1]))
    fine = _refined(product, [beta, 1.0])
    if fine is None:
        return None
    offset, one = int(np.rint(beta / fine.scale)), int(np.rint(1.0 / fine.scale))
    return [fine.with_data(np.clip(fine.data + offset, 0, one))]


def _refined(x: IntTensor, constants: Sequence[float]) -> IntTensor | None:
    """`x` on a scale of which every constant is a whole multiple; None when there is none."""
    if not constants:
        return x
    exponents = x.exponents
    parts = [dyadic(constant, FINEST) for constant in constants]
    if exponents is None or None in parts:
        return None
    bits = max(part[1] for part in parts if part is not None)
    return shift_left(x, np.maximum(exponents + bits, 0))


def _slope_and_offset(op: Op) -> tuple[float, float]:
    return number(op, "alpha", 0.2), number(op, "beta", 0.5)


def _leaky_relu(op: Op, x: Float64Array) -> Array:
    return np.where(x < 0, x * number(op, "alpha", 0.01), x)


def _hard_sigmoid(op: Op, x: Float64Array) -> Array:
    alpha, beta = _slope_and_offset(op)
    return np.clip(alpha * x + beta, 0.0, 1.0)


def _hard_swish(op: Op, x: Float64Array) -> Array:
    return np.asarray(x * np.clip(x + 3.0, 0.0, 6.0) / 6.0)


_ACTIVATION = Traits("activation")
_UNARY: dict[str, tuple[Callable[[Op, Float64Array], Array], Integer]] = {
    "leaky-relu": (_leaky_relu, integer_leaky_relu),
    "hard-sigmoid": (_hard_sigmoid, integer_hard_sigmoid),
    "hard-swish": (_hard_swish, no_integer_form),
}
SPECS = (
    *(OpSpec(kind, _ACTIVATION, infer, compute_clip, integer_clip) for kind in ("relu", "relu6", "clip")),
    *(OpSpec(kind, _ACTIVATION, infer, unary(fn), exact) for kind, (fn, exact) in _UNARY.items()),
    OpSpec("prelu", _ACTIVATION, infer, compute_prelu, integer_prelu),
)

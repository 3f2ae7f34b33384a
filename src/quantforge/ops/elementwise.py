"""Elementwise arithmetic with broadcasting: add, sub, mul, div, min, max, pow, and where.

Float: computed in the dtype of the inputs, operand by operand from the left. Integer: add, sub, min and max on
the finest common scale (exact left shifts), products on the product of the scales; div and pow have no exact
form. `where` selects on a common scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from quantforge.graph import Array, Op, Value
from quantforge.ops.attributes import present
from quantforge.ops.dims import broadcast
from quantforge.ops.integer import SAFE, IntTensor, Tensors, align, all_integer
from quantforge.ops.opspec import OpSpec, Traits, TypedShape, no_integer_form

Binary = Callable[[Array, Array], Array]


def infer(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """The broadcast shape."""
    values = [present(op, inputs, index) for index in range(len(inputs))]
    return [(broadcast(op.name, [value.shape for value in values]), values[-1].dtype)]


def _float_kernel(combine: Binary) -> Callable[[Op, Sequence[Array | None]], list[Array]]:
    def compute(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
        operands = [present(op, arrays, index) for index in range(len(arrays))]
        with np.errstate(all="ignore"):
            return [np.asarray(reduce(combine, operands), operands[0].dtype)]

    return compute


def divide(a: Array, b: Array) -> Array:
    """Real division, or for integers division that drops the fraction (ONNX Div)."""
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    quotient = np.abs(a) // np.abs(b)
    return np.asarray(np.where((a < 0) != (b < 0), -quotient, quotient))


def _integer_kernel(combine: Binary) -> Callable[[Op, Tensors], list[IntTensor] | None]:
    """On a common scale; the operands gain leading axes so that per-slice scales keep their place."""

    def compute(op: Op, tensors: Tensors) -> list[IntTensor] | None:
        found = all_integer(tensors)
        aligned = None if found is None else align(_same_rank(found))
        if aligned is None or sum(t.magnitude for t in aligned) >= SAFE:
            return None
        return [aligned[0].with_data(reduce(combine, [t.data for t in aligned]))]

    return compute


def integer_product(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """Product of the integers on the product of the scales."""
    found = all_integer(tensors)
    if found is None or any(t.axis is not None for t in found):
        return None
    result = found[0]
    for other in found[1:]:
        if result.magnitude * other.magnitude >= SAFE:
            return None
        data, scale = result.data * other.data, result.scale * other.scale
        result = IntTensor(data, scale, divisor=result.divisor * other.divisor)
    return [result]


def _same_rank(tensors: Sequence[IntTensor]) -> list[IntTensor]:
    rank = max(t.data.ndim for t in tensors)
    result = []
    for tensor in tensors:
        extra = rank - tensor.data.ndim
        data = tensor.data.reshape((1,) * extra + tensor.shape)
        axis = None if tensor.axis is None else tensor.axis + extra
        result.append(IntTensor(data, tensor.scale, tensor.zero_point, axis, tensor.divisor))
    return result


def compute_where(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """The second input where the first is true, else the third."""
    return [np.where(present(op, arrays, 0), present(op, arrays, 1), present(op, arrays, 2))]


def integer_where(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """Selects on a common scale."""
    condition, found = tensors[0], all_integer(tensors[1:])
    aligned = None if found is None else align(_same_rank(found))
    if aligned is None or condition is None or isinstance(condition, IntTensor):
        return None
    return [aligned[0].with_data(np.where(condition, aligned[0].data, aligned[1].data))]


_ALIGNED: dict[str, Binary] = {"add": np.add, "sub": np.subtract, "min": np.minimum, "max": np.maximum}
_ELEMENTWISE = Traits("elementwise")
SPECS = (
    *(
        OpSpec(f"eltwise-{name}", _ELEMENTWISE, infer, _float_kernel(combine), _integer_kernel(combine))
        for name, combine in _ALIGNED.items()
    ),
    OpSpec("eltwise-mul", _ELEMENTWISE, infer, _float_kernel(np.multiply), integer_product),
    OpSpec("eltwise-div", _ELEMENTWISE, infer, _float_kernel(divide), no_integer_form),
    OpSpec("eltwise-pow", _ELEMENTWISE, infer, _float_kernel(np.power), no_integer_form),
    OpSpec("where", _ELEMENTWISE, infer, compute_where, integer_where),
)

"""Evaluate shape arithmetic on partly known integers.

A partial value is a small array whose elements are numbers, a ``str`` (a named size such as "batch") or ``None``
(unknown). What ``Shape -> Gather -> Unsqueeze -> Concat`` computes is then known as far as the shapes are, which
is what lets a Reshape to "the batch of x, and the rest flattened" become a static one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import helper

from quantforge.frontends.onnx.load import inline_array
from quantforge.frontends.onnx.native import dtype_name
from quantforge.graph import Array, Shape

MAX_ELEMENTS = 4096
Inputs = Sequence[Array | None]
Attributes = Mapping[str, Any]


def is_known(value: Array) -> bool:
    """Whether every element is a number."""
    return value.dtype != object or not any(e is None or isinstance(e, str) for e in value.flat)


def shape_of(shape: Shape) -> Array:
    """A shape as a partial value: what the Shape operator returns."""
    return _objects([np.int64(d) if isinstance(d, int) else d for d in shape])


def evaluate(op_type: str, attributes: Attributes, inputs: Inputs) -> Array | None:
    """The result of a one-output shape operator on partial values, or None when it is not one of ours."""
    rule = _RULES.get(op_type)
    if rule is None or (op_type != "Shape" and any(v is not None and v.size > MAX_ELEMENTS for v in inputs)):
        return None
    try:
        result = rule(attributes, *inputs)
    except (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError, AttributeError):
        return None  # odd or wrong operands: leave the node to the runtime, which reports them better
    return None if result is None or result.size > MAX_ELEMENTS else result


def settle(value: Array, dtype: str) -> Array:
    """A known partial value as a plain array of `dtype`."""
    return np.array(value.tolist(), dtype=dtype).reshape(value.shape)


def attributes_of(node: Any) -> dict[str, Any]:
    """A node's attributes as Python values (tensors as arrays)."""
    return {a.name: _attribute(a) for a in node.attribute}


def _attribute(attribute: Any) -> Any:
    if attribute.type == attribute.TENSOR:
        return inline_array(attribute.t, "the model")
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if attribute.type == attribute.STRINGS:
        return [v.decode("utf-8", "replace") for v in value]
    return value


def _objects(items: Sequence[Any]) -> Array:
    out = np.empty(len(items), object)
    for index, item in enumerate(items):
        out[index] = item
    return out


def _known(value: Array | None) -> Array:
    if value is None or not is_known(value):
        raise ValueError("not fully known")
    return settle(value, "int64") if value.dtype == object else value


def _ints(attributes: Attributes, name: str, value: Array | None) -> list[int] | None:
    if name in attributes:
        return [int(v) for v in attributes[name]]
    return None if value is None else [int(v) for v in _known(value).reshape(-1)]


def _shape(attributes: Attributes, data: Array) -> Array:
    return data[slice(attributes.get("start", 0), attributes.get("end", None))]


def _size(attributes: Attributes, data: Array) -> Array | None:
    if not is_known(data):
        return None
    return np.array(int(np.prod(settle(data, "int64"))), np.int64)


def _gather(attributes: Attributes, data: Array, indices: Array) -> Array:
    taken = np.take(data, _known(indices).astype(np.int64), axis=attributes.get("axis", 0))
    return np.asarray(taken, dtype=data.dtype)


def _concat(attributes: Attributes, *parts: Array) -> Array:
    dtypes = {part.dtype for part in parts}
    common = dtypes.pop() if len(dtypes) == 1 else np.dtype(object)
    return np.concatenate([part.astype(common) for part in parts], axis=attributes["axis"])


def _unsqueeze(attributes: Attributes, data: Array, axes: Array | None = None) -> Array:
    return np.expand_dims(data, tuple(_ints(attributes, "axes", axes) or ()))


def _squeeze(attributes: Attributes, data: Array, axes: Array | None = None) -> Array:
    where = _ints(attributes, "axes", axes)
    return np.squeeze(data, None if where is None else tuple(where))


def _cast(attributes: Attributes, data: Array) -> Array | None:
    name = dtype_name(attributes["to"])
    if is_known(data):
        source = settle(data, "int64") if data.dtype == object and _integral(data) else data
        if source.dtype == object:
            source = np.array(source.tolist()).reshape(source.shape)
        return source.astype(name)
    return data if np.dtype(name).kind in "iuf" else None


def _integral(value: Array) -> bool:
    return all(isinstance(e, (int, np.integer)) for e in value.flat)


def _slice(
    attributes: Attributes,
    data: Array,
    starts: Array | None = None,
    ends: Array | None = None,
    axes: Array | None = None,
    steps: Array | None = None,
) -> Array:
    begin, end = _ints(attributes, "starts", starts) or [], _ints(attributes, "ends", ends) or []
    where = _ints(attributes, "axes", axes) or list(range(len(begin)))
    stride = _ints({}, "steps", steps) or [1] * len(begin)
    index: list[slice] = [slice(None)] * data.ndim
    for b, e, a, s in zip(begin, end, where, stride, strict=True):
        index[a] = slice(b, None if s < 0 and e < -data.shape[a] else e, s)
    return data[tuple(index)]


def _reshape(attributes: Attributes, data: Array, shape: Array) -> Array:
    dims = [int(d) for d in _known(shape)]
    if not attributes.get("allowzero", 0):
        dims = [data.shape[i] if d == 0 else d for i, d in enumerate(dims)]
    return data.reshape(dims)


def _transpose(attributes: Attributes, data: Array) -> Array:
    return np.transpose(data, attributes.get("perm"))


def _constant_of_shape(attributes: Attributes, shape: Array) -> Array | None:
    dims = [int(d) for d in _known(shape).reshape(-1)]
    if int(np.prod(dims, dtype=np.float64)) > MAX_ELEMENTS:
        return None
    value = attributes.get("value", np.zeros(1, np.float32))
    return np.full(dims, value.reshape(-1)[0], value.dtype)


def _range(attributes: Attributes, start: Array, limit: Array, delta: Array) -> Array | None:
    first, last, step = (_known(v).reshape(()) for v in (start, limit, delta))
    if abs(float(last) - float(first)) > MAX_ELEMENTS * abs(float(step)):
        return None
    count = max(int(np.ceil((last - first) / step)), 0)
    return np.asarray(first + np.arange(count) * step, np.result_type(first, last, step))


def _expand(attributes: Attributes, data: Array, shape: Array) -> Array | None:
    dims = np.broadcast_shapes(data.shape, tuple(int(d) for d in _known(shape)))
    if int(np.prod(dims, dtype=np.float64)) > MAX_ELEMENTS:
        return None
    return np.broadcast_to(data, dims).copy()


def _where(attributes: Attributes, condition: Array, yes: Array, no: Array) -> Array:
    return _each(
        lambda c, y, n: (y if c else n) if c is not None else (y if _same(y, n) else None), condition, yes, no
    )


def _reduce_prod(attributes: Attributes, data: Array, axes: Array | None = None) -> Array | None:
    if data.ndim != 1 or not is_known(data):
        return None
    total = np.array(np.prod(settle(data, "int64")), np.int64)
    return total.reshape(1) if attributes.get("keepdims", 1) else total


def _min_max(pick: Callable[[Any, Any], Any]) -> Callable[..., Array]:
    def rule(attributes: Attributes, *operands: Array) -> Array:
        result = operands[0]
        for operand in operands[1:]:
            result = _each(lambda a, b: a if _same(a, b) else _if_numbers(pick, a, b), result, operand)
        return result

    return rule


def _arithmetic(apply: Callable[[Any, Any], Any], unit: int | None, left: bool) -> Callable[..., Array]:
    """A binary rule: numbers by `apply`; x op `unit` is x (and `unit` op x too when `left`)."""

    def combine(a: Any, b: Any) -> Any:
        if unit is not None and _is_number(b) and b == unit:
            return a
        if left and unit is not None and _is_number(a) and a == unit:
            return b
        return _if_numbers(apply, a, b)

    return lambda attributes, a, b: _each(combine, a, b)


def _divide(a: Any, b: Any) -> Any:
    if isinstance(a, (int, np.integer)) and isinstance(b, (int, np.integer)):
        quotient = abs(int(a)) // abs(int(b))
        return np.int64(quotient if (a < 0) == (b < 0) else -quotient)
    return a / b


def _compare(apply: Callable[[Any, Any], Any], when_negative: bool | None) -> Callable[..., Array]:
    """A comparison; `when_negative` is the answer for a named size against a negative number."""

    def combine(a: Any, b: Any) -> Any:
        for size, number in ((a, b), (b, a)):
            if isinstance(size, str) and _is_number(number) and number < 0:
                return when_negative
        return _if_numbers(apply, a, b)

    return lambda attributes, a, b: _each(combine, a, b)


def _unary(apply: Callable[[Any], Any]) -> Callable[..., Array]:
    return lambda attributes, a: _each(lambda e: apply(e) if _is_number(e) else None, a)


def _each(function: Callable[..., Any], *operands: Array) -> Array:
    arrays = np.broadcast_arrays(*operands)
    out = np.empty(arrays[0].shape, object)
    for index in np.ndindex(arrays[0].shape):
        out[index] = function(*(a[index] for a in arrays))
    return out


def _is_number(value: Any) -> bool:
    return value is not None and not isinstance(value, str)


def _same(a: Any, b: Any) -> bool:
    return a is not None and b is not None and isinstance(a, str) == isinstance(b, str) and bool(a == b)


def _if_numbers(apply: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    return apply(a, b) if _is_number(a) and _is_number(b) else None


_RULES: dict[str, Callable[..., Array | None]] = {
    "Shape": _shape,
    "Size": _size,
    "Identity": lambda attributes, data: data,
    "Gather": _gather,
    "Concat": _concat,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Cast": _cast,
    "Slice": _slice,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Expand": _expand,
    "Where": _where,
    "ReduceProd": _reduce_prod,
    "Add": _arithmetic(operator.add, 0, True),
    "Sub": _arithmetic(operator.sub, 0, False),
    "Mul": _arithmetic(operator.mul, 1, True),
    "Div": _arithmetic(_divide, 1, False),
    "Mod": _arithmetic(operator.mod, None, False),
    "Min": _min_max(min),
    "Max": _min_max(max),
    "Equal": _compare(operator.eq, False),
    "Greater": _compare(operator.gt, None),
    "Less": _compare(operator.lt, None),
    "Neg": _unary(operator.neg),
    "Abs": _unary(abs),
    "Floor": _unary(np.floor),
    "Ceil": _unary(np.ceil),
    "Not": _unary(lambda e: not e),
}

"""Comparisons, logic, and choosing by conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from quantforge.frontends.torch.onnx_forms.writer import Writer, is_float

Form = Callable[[Writer], None]


def _comparison(op_type: str, negated: bool = False) -> Form:
    """Operands in the dtype that torch promotes them to; booleans compare as integers."""

    def form(w: Writer) -> None:
        pair = (w.first_of("self", "input"), w.arg("other"))
        dtype = w.common_dtype(*pair)
        if dtype not in ("int64", "int32", "float32", "float64", "float16"):
            dtype = "int64"
        first, second = (w.operand(item, dtype) for item in pair)
        if negated:
            w.result("Not", [w.node(op_type, [first, second], "bool")])
        else:
            w.result(op_type, [first, second])

    return form


def _logical(op_type: str) -> Form:
    def form(w: Writer) -> None:
        w.result(op_type, [w.operand(item, "bool") for item in (w.arg("self"), w.arg("other"))])

    return form


def _bitwise(op_type: str) -> Form:
    def form(w: Writer) -> None:
        w.require(w.dtype == "bool", "integers")
        _logical(op_type)(w)

    return form


def _not(w: Writer) -> None:
    w.require(w.dtype == "bool", "integers")
    w.result("Not", [w.operand(w.arg("self"), "bool")])


def _where(w: Writer) -> None:
    condition, parts = w.operand(w.arg("condition"), "bool"), (w.arg("self"), w.arg("other"))
    w.result("Where", [condition, *(w.operand(item, w.dtype) for item in parts)])


def _masked_fill(w: Writer) -> None:
    fill = _finite(w.arg("value"), w.dtype)
    w.result("Where", [w.operand(w.arg("mask"), "bool"), w.operand(fill, w.dtype), w.value("self")])


def _finite(item: Any, dtype: str) -> Any:
    """Numbers beyond integers of `dtype` cannot be constants of it."""
    return item if is_float(dtype) or not isinstance(item, float) else int(np.clip(item, -(2**62), 2**62))


def _is_nan(w: Writer) -> None:
    w.result("IsNaN", [w.source.name])


def _is_infinite(w: Writer) -> None:
    w.result("IsInf", [w.source.name])


def _any(w: Writer) -> None:
    _reduced(w, "ReduceMax")


def _all(w: Writer) -> None:
    _reduced(w, "ReduceMin")


def _reduced(w: Writer, op_type: str) -> None:
    """any and all, as the largest and smallest of zeros and ones."""
    numbers = w.cast(w.cast(w.source.name, "bool"), "int32")
    keep = int(bool(w.arg("keepdim", False)))
    w.results(w.node(op_type, [numbers], axes=list(w.axes()), keepdims=keep))


FORMS: dict[str, Form] = {
    "eq": _comparison("Equal"),
    "ne": _comparison("Equal", negated=True),
    "lt": _comparison("Less"),
    "le": _comparison("LessOrEqual"),
    "gt": _comparison("Greater"),
    "ge": _comparison("GreaterOrEqual"),
    "logical_and": _logical("And"),
    "logical_or": _logical("Or"),
    "logical_xor": _logical("Xor"),
    "logical_not": lambda w: w.result("Not", [w.operand(w.arg("self"), "bool")]),
    "bitwise_and": _bitwise("And"),
    "bitwise_or": _bitwise("Or"),
    "bitwise_xor": _bitwise("Xor"),
    "bitwise_not": _not,
    "where": _where,
    "masked_fill": _masked_fill,
    "isnan": _is_nan,
    "isinf": _is_infinite,
    "any": _any,
    "all": _all,
}

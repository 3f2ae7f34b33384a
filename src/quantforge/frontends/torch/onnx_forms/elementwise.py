"""Arithmetic element by element, on floats and integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from quantforge.frontends.torch.onnx_forms.writer import Writer, is_float

Form = Callable[[Writer], None]


def _unary(op_type: str, **attrs: Any) -> Form:
    """In the dtype of the result, to which integers are promoted."""

    def form(w: Writer) -> None:
        w.result(op_type, [w.operand(w.first_of("self", "input"), w.dtype)], **attrs)

    return form


def _same(op_type: str) -> Form:
    """Rounding functions, which leave integers as they are."""

    def form(w: Writer) -> None:
        w.require(not w.arg("decimals", 0), "decimals")
        w.result(op_type if is_float(w.dtype) else "Identity", [w.source.name])

    return form


def _composed(build: Callable[[Writer, str, str], str]) -> Form:
    """A function of one tensor: `build` gets the writer, the tensor and its dtype."""

    def form(w: Writer) -> None:
        dtype = w.dtype
        w.results(build(w, w.operand(w.first_of("self", "input"), dtype), dtype))

    return form


def _trunc(w: Writer, x: str, dtype: str) -> str:
    if not is_float(dtype):
        return x
    return w.node("Mul", [w.node("Floor", [w.node("Abs", [x])]), w.node("Sign", [x])])


def _logarithm(base: float) -> Callable[[Writer, str, str], str]:
    return lambda w, x, dtype: w.node("Mul", [w.node("Log", [x]), w.constant(1.0 / math.log(base), dtype)])


def _plus_number(first: str, number: float, then: str) -> Callable[[Writer, str, str], str]:
    def build(w: Writer, x: str, dtype: str) -> str:
        steps = [first, then]
        for step in steps:
            x = w.node(step, [x, w.constant(number, dtype)] if step == "Add" else [x])
        return x

    return build


def _pair(w: Writer) -> tuple[Any, Any]:
    return w.first_of("self", "input"), w.first_of("other", "exponent")


def _arithmetic(op_type: str, swapped: bool = False) -> Form:
    """add, sub, mul in the dtype of the result; `alpha` scales the second operand."""

    def form(w: Writer) -> None:
        dtype = w.dtype
        first, second = (w.operand(item, dtype) for item in _pair(w))
        if w.arg("alpha", 1) != 1:
            second = w.node("Mul", [second, w.constant(w.arg("alpha"), dtype)])
        if dtype == "bool":
            w.result({"Add": "Or", "Mul": "And"}.get(op_type) or w.refuse("booleans"), [first, second])
            return
        w.result(op_type, [second, first] if swapped else [first, second])

    return form


def _divide(w: Writer) -> None:
    """True division in floats; with rounding also of integers."""
    mode, dtype = w.arg("rounding_mode"), w.dtype
    first, second = (w.operand(item, dtype) for item in _pair(w))
    if mode is None:
        w.result("Div", [first, second])
    elif mode == "trunc":
        quotient = w.node("Div", [first, second])
        w.results(_trunc(w, quotient, dtype))
    else:
        w.results(_floored(w, first, second, dtype))


def _floored(w: Writer, first: str, second: str, dtype: str) -> str:
    """floor(a / b); of integers (a - a mod b) / b, where nothing is left to round."""
    if is_float(dtype):
        return w.node("Floor", [w.node("Div", [first, second])])
    rest = w.node("Mod", [first, second])
    return w.node("Div", [w.node("Sub", [first, rest]), second])


def _floor_divide(w: Writer) -> None:
    first, second = (w.operand(item, w.dtype) for item in _pair(w))
    w.results(_floored(w, first, second, w.dtype))


def _remainder(w: Writer) -> None:
    """With the sign of the divisor."""
    dtype = w.dtype
    first, second = (w.operand(item, dtype) for item in _pair(w))
    if is_float(dtype):
        w.result("Sub", [first, w.node("Mul", [_floored(w, first, second, dtype), second])])
    else:
        w.result("Mod", [first, second])


def _fmod(w: Writer) -> None:
    first, second = (w.operand(item, w.dtype) for item in _pair(w))
    w.result("Mod", [first, second], fmod=1)


def _power(w: Writer) -> None:
    base, exponent = _pair(w)
    w.result("Pow", [w.operand(base, w.dtype), w.operand(exponent, w.dtype)])


def _extreme(op_type: str) -> Form:
    def form(w: Writer) -> None:
        w.result(op_type, [w.operand(item, w.dtype) for item in _pair(w)])

    return form


def _clamp(w: Writer) -> None:
    """clamp by numbers or tensors, of floats and integers."""
    found = w.operand(w.arg("self"), w.dtype)
    for name, other, op_type in (("min", "min_val", "Max"), ("max", "max_val", "Min")):
        bound = w.arg(name, w.arg(other))
        if bound is not None:
            found = w.node(op_type, [found, w.operand(bound, w.dtype)])
    w.results(found)


def _arctangent(w: Writer) -> None:
    """atan2: atan(y / x), a half turn further where x is negative."""
    dtype = w.dtype
    y, x = w.operand(w.arg("self"), dtype), w.operand(w.arg("other"), dtype)
    zero = w.constant(0.0, dtype)
    left, up = w.node("Less", [x, zero], "bool"), w.node("Less", [y, zero], "bool")
    half = w.node("Where", [up, w.constant(-math.pi, dtype), w.constant(math.pi, dtype)], dtype)
    turned = w.node(
        "Add", [w.node("Atan", [w.node("Div", [y, x])]), w.node("Where", [left, half, zero], dtype)]
    )
    flat = w.node("And", [w.node("Equal", [x, zero], "bool"), w.node("Equal", [y, zero], "bool")])
    w.results(w.node("Where", [flat, zero, turned], dtype))


def _cast(w: Writer) -> None:
    w.results(w.source.name)


def _copy(w: Writer) -> None:
    """What is in `src`, broadcast to the shape of the other."""
    w.result("Expand", [w.operand(w.arg("src"), w.dtype), w.shape(w.value("self"))])


def _identity(w: Writer) -> None:
    w.result("Identity", [w.source.name])


_UNARY = {
    "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh",
    "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "exp": "Exp", "log": "Log", "sqrt": "Sqrt",
    "abs": "Abs", "neg": "Neg", "sign": "Sign", "sgn": "Sign", "reciprocal": "Reciprocal", "erf": "Erf",
    "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu",
}  # fmt: skip
FORMS: dict[str, Form] = {
    **{name: _unary(op_type) for name, op_type in _UNARY.items()},
    "floor": _same("Floor"),
    "ceil": _same("Ceil"),
    "round": _same("Round"),
    "trunc": _composed(_trunc),
    "log2": _composed(_logarithm(2.0)),
    "log10": _composed(_logarithm(10.0)),
    "log1p": _composed(_plus_number("Add", 1.0, "Log")),
    "expm1": _composed(_plus_number("Exp", -1.0, "Add")),
    "rsqrt": _composed(lambda w, x, dtype: w.node("Reciprocal", [w.node("Sqrt", [x])])),
    "square": _composed(lambda w, x, dtype: w.node("Mul", [x, x])),
    "erfc": _composed(lambda w, x, dtype: w.node("Sub", [w.constant(1.0, dtype), w.node("Erf", [x])])),
    "add": _arithmetic("Add"),
    "sub": _arithmetic("Sub"),
    "rsub": _arithmetic("Sub", swapped=True),
    "mul": _arithmetic("Mul"),
    "div": _divide,
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "fmod": _fmod,
    "pow": _power,
    "maximum": _extreme("Max"),
    "minimum": _extreme("Min"),
    "clamp": _clamp,
    "hardtanh": _clamp,
    "atan2": _arctangent,
    "_to_copy": _cast,
    "to": _cast,
    "copy": _copy,
    **dict.fromkeys(("clone", "contiguous", "detach", "alias", "lift_fresh_copy", "dropout"), _identity),
}

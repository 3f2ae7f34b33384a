"""Typed access to the attributes and inputs of an op; what is missing or of the wrong type is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, TypeVar

from quantforge.diagnostics import InputError
from quantforge.graph import Op

T = TypeVar("T")


def ints(op: Op, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """A tuple of integers, or `default`."""
    value = op.attrs.get(name, default)
    if not isinstance(value, tuple) or not all(isinstance(v, int) for v in value):
        _refuse(op, name, value, "a tuple of integers")
    return tuple(int(v) for v in value)


def floats(op: Op, name: str, default: tuple[float, ...] | None = None) -> tuple[float, ...]:
    """A tuple of numbers, or `default`."""
    value = op.attrs.get(name, default)
    if not isinstance(value, tuple) or not all(isinstance(v, (int, float)) for v in value):
        _refuse(op, name, value, "a tuple of numbers")
    return tuple(float(v) for v in value)


def integer(op: Op, name: str, default: int | None = None) -> int:
    """One integer, or `default`."""
    value = op.attrs.get(name, default)
    if not isinstance(value, int):
        _refuse(op, name, value, "an integer")
    return int(value)


def number(op: Op, name: str, default: float | None = None) -> float:
    """One number, or `default`."""
    value = op.attrs.get(name, default)
    if not isinstance(value, (int, float)):
        _refuse(op, name, value, "a number")
    return float(value)


def text(op: Op, name: str, default: str | None = None, choices: Sequence[str] = ()) -> str:
    """One string, or `default`; one of `choices` when there are any."""
    value = op.attrs.get(name, default)
    if not isinstance(value, str) or (choices and value not in choices):
        _refuse(op, name, value, f"one of {', '.join(choices)}" if choices else "a string")
    return value


def flag(op: Op, name: str, default: bool = False) -> bool:
    """True or false; integers count as ONNX counts them."""
    return bool(op.attrs.get(name, default))


def present(op: Op, items: Sequence[T | None], index: int = 0) -> T:
    """Input `index`, which the op cannot do without."""
    item = items[index] if index < len(items) else None
    if item is None:
        found = f"{op.kind} without input {index}"
        raise InputError("Q0404", op.name, found, "all required inputs", "check how the model was exported")
    return item


def optional(items: Sequence[T], index: int) -> T | None:
    """Input `index`, or None when it is absent."""
    return items[index] if index < len(items) else None


def mismatch(op: Op, found: str, expected: str) -> InputError:
    """The error for shapes that do not go together."""
    return InputError("Q0404", op.name, found, expected, "check the shapes the model was exported with")


def _refuse(op: Op, name: str, value: object, expected: str) -> NoReturn:
    found = f"{op.kind} without attribute {name}" if value is None else f"attribute {name}={value!r}"
    raise InputError("Q0405", op.name, found, expected, f"correct {name}, or leave the operator opaque")

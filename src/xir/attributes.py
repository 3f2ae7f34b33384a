"""Attributes as Python values: `has_attr`, `get_attr`, `set_attr`, `get_attrs` and `set_attrs` of all four classes.

A value becomes an attribute of the kind that the operator's definition gives; without one, of the kind that the
value suggests: bool, int32 (int64 or uint64 where it does not fit), double, string, bytes (also from an array), the
lists of these, and dicts from text to int32, string or bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.xmodel.encode import encode_attr
from quantforge.xmodel.model import Attr, Attrs
from xir.errors import ATTRIBUTE, refused

Self = TypeVar("Self", bound="HasAttrs")


class HasAttrs(ABC):
    """What graphs, operators, tensors and subgraphs have in common."""

    @property
    @abstractmethod
    def _attrs(self) -> Attrs:
        """The attributes of the record behind it."""

    @abstractmethod
    def _label(self) -> str:
        """What it is called in errors."""

    def _kind_of(self, name: str) -> str | None:
        """The kind that a definition gives to an attribute; None where there is no definition."""
        return None

    def has_attr(self, name: str) -> bool:
        """Whether there is an attribute of this name."""
        return name in self._attrs

    def get_attr(self, name: str) -> Any:
        """The value of an attribute; lists come as new lists, dicts as new dicts.

        Raises:
            InputError: Q0922 (XIR_UNDEFINED_ATTR) when there is none.
        """
        found = self._attrs.get(name)
        if found is None:
            known = ", ".join(sorted(self._attrs)) or "none"
            found_text, expected = f"no attribute {name!r}", f"one of its attributes ({known})"
            raise refused(
                ATTRIBUTE, "XIR_UNDEFINED_ATTR", self._label(), found_text, expected, "ask has_attr first"
            )
        return _plain(found.value)

    def get_attrs(self) -> dict[str, Any]:
        """All attributes by name."""
        return {name: _plain(attr.value) for name, attr in self._attrs.items()}

    def set_attr(self: Self, name: str, value: Any) -> Self:
        """Set an attribute and return the object.

        Raises:
            InputError: Q0922 (XIR_UNSUPPORTED_TYPE) for a value of no kind, an empty list or dict without a
                definition, or a number that its kind cannot hold.
        """
        self._attrs[name] = as_attr(value, self._kind_of(name), f"{self._label()}.{name}")
        return self

    def set_attrs(self: Self, attrs: Mapping[str, Any]) -> Self:
        """Replace all attributes and return the object. Errors as `set_attr`, and then nothing has changed."""
        made = {
            name: as_attr(value, self._kind_of(name), f"{self._label()}.{name}")
            for name, value in attrs.items()
        }
        self._attrs.clear()
        self._attrs.update(made)
        return self


def as_attr(value: Any, kind: str | None, where: str) -> Attr:
    """A Python value as an attribute of `kind`, or of the kind that suits it when that is None.

    Raises:
        InputError: Q0922 when there is no such kind or it cannot hold the value.

    >>> as_attr([1, 2], None, "x"), as_attr(1, "float", "x")
    (Attr(kind='int32_vec', value=(1, 2)), Attr(kind='float', value=1.0))
    """
    value = _unwrapped(value)
    kind = kind or _suggested(value, where)
    if kind.endswith("_vec") and isinstance(value, list):
        value = tuple(_converted(kind.removesuffix("_vec"), item) for item in value)
    elif kind.startswith("map_") and isinstance(value, dict):
        value = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    attr = Attr(kind, _converted(kind, value))
    if kind == "bytes" and isinstance(attr.value, bytes):
        return attr
    try:
        encode_attr(attr, where)
    except InputError as error:
        found, expected = error.diagnostic.found, error.diagnostic.expected
        raise refused(
            ATTRIBUTE, "XIR_UNSUPPORTED_TYPE", where, found, expected, error.diagnostic.fix
        ) from error
    return attr


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _unwrapped(value: Any) -> Any:
    """NumPy's scalars and arrays, tuples and bytearrays as what they stand for."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_unwrapped(item) for item in value]
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else value


def _converted(kind: str, value: Any) -> Any:
    """An int where a float is defined; everything else as it is, to be judged by the kind."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if kind in ("float", "double") and whole else value


def _suggested(value: Any, where: str) -> str:
    if isinstance(value, (list, dict)) and value:
        items = value if isinstance(value, list) else list(value.values())
        kinds = {_scalar(item) for item in items}
        kind = kinds.pop() if len(kinds) == 1 else _widest(kinds)
        prefix, suffix = ("", "_vec") if isinstance(value, list) else ("map_string_2_", "")
        if kind is not None and (isinstance(value, list) or kind not in ("bool", "double")):
            return f"{prefix}{kind}{suffix}"
    else:
        kind = _scalar(value)
        if kind is not None:
            return kind
    found = f"a value of type {type(value).__name__}: {str(value)[:80]!r}"
    expected = (
        "bool, int, float, str, bytes, an array, a list of one of these, or a dict of text to int or str"
    )
    raise refused(ATTRIBUTE, "XIR_UNSUPPORTED_TYPE", where, found, expected, "set a value of such a type")


def _scalar(value: Any) -> str | None:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        if -(2**31) <= value < 2**31:
            return "int32"
        return "int64" if value < 2**63 else "uint64"
    names = {float: "double", str: "string", bytes: "bytes"}
    return next((kind for one, kind in names.items() if isinstance(value, one)), None)


def _widest(kinds: set[str | None]) -> str | None:
    """The kind of a list of integers of different size; None for a mixed list."""
    if kinds <= {"int32", "int64"}:
        return "int64"
    return "uint64" if kinds <= {"int32", "int64", "uint64"} else None

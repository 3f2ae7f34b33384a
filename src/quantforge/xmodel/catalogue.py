"""The operators that XIR 3.5 defines: their arguments, and the kinds and defaults of their attributes.

The table is data (`catalogue.toml`). An operator that is not in it is a custom one: it has one argument `input` with
any number of producers, and says its own result in the attributes `shape` and `data_type`. Any operator may carry
attributes that its definition does not name.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from quantforge.xmodel.model import Attr, XOp

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_ARGUMENT = re.compile(r"(\w+)(\?|\+\+|\+|\*|)")
_ATTRIBUTE = re.compile(r"(\w+):(\w+)(?:\[(\d+)\])?(=\S*)?")
_OCCURRENCE: dict[str, tuple[int, int | None]] = {
    "": (1, 1),
    "?": (0, 1),
    "*": (0, None),
    "+": (1, None),
    "++": (2, None),
}


@dataclass(frozen=True)
class ArgDef:
    """An argument: its name, the least number of producers, and the most (None: any number)."""

    name: str
    least: int
    most: int | None


@dataclass(frozen=True)
class AttrDef:
    """An attribute: name, kind, length of a list that has a fixed one, and the default (None: required)."""

    name: str
    kind: str
    length: int | None
    default: Attr | None


@dataclass(frozen=True)
class OpDef:
    """An operator: its kind, arguments and attributes; `custom` when XIR does not define it."""

    kind: str
    args: dict[str, ArgDef]
    attrs: dict[str, AttrDef]
    custom: bool = False


@cache
def catalogue() -> dict[str, OpDef]:
    """All operators that XIR defines, by name.

    >>> len(catalogue())
    106
    """
    source = resources.files("quantforge.xmodel").joinpath("catalogue.toml").read_text("utf-8")
    table = tomllib.loads(source)
    return {
        kind: _definition(kind, args, attrs, table["groups"]) for kind, (args, attrs) in table["ops"].items()
    }


def definition(kind: str) -> OpDef:
    """The definition of `kind`, that of a custom operator when XIR has none.

    >>> definition("conv2d").attrs["group"].default
    Attr(kind='int32', value=1)
    >>> definition("PPScatterV2").custom, list(definition("PPScatterV2").attrs)
    (True, ['shape', 'data_type'])
    """
    found = catalogue().get(kind)
    return found if found is not None else _custom(kind)


def setting(op: XOp, name: str) -> Any:
    """The value of an attribute of `op`, its default when it is absent; None when it has neither.

    >>> from quantforge.xmodel.model import Tensor
    >>> setting(XOp("x", "elu", Tensor("x", (1,))), "alpha")
    1.0
    """
    found = op.attrs.get(name)
    if found is None:
        attribute = definition(op.kind).attrs.get(name)
        found = attribute.default if attribute is not None else None
    return None if found is None else found.value


def with_defaults(op: XOp) -> dict[str, Attr]:
    """The attributes of `op`, and the defaults of those that it leaves out."""
    attributes = definition(op.kind).attrs.values()
    absent = {a.name: a.default for a in attributes if a.default is not None and a.name not in op.attrs}
    return {**op.attrs, **absent}


@cache
def _custom(kind: str) -> OpDef:
    shape, data_type = AttrDef("shape", "int32_vec", None, None), AttrDef("data_type", "string", None, None)
    arguments = {"input": ArgDef("input", 0, None)}
    return OpDef(kind, arguments, {"shape": shape, "data_type": data_type}, custom=True)


def _definition(kind: str, args: str, attrs: str, groups: dict[str, str]) -> OpDef:
    words = " ".join(groups.get(word, word) for word in attrs.split()).split()
    arguments = [_argument(word) for word in args.split()]
    attributes = [_attribute(word) for word in words]
    return OpDef(kind, {a.name: a for a in arguments}, {a.name: a for a in attributes})


def _argument(word: str) -> ArgDef:
    found = _ARGUMENT.fullmatch(word)
    if found is None:
        raise ValueError(f"catalogue.toml: the argument {word!r}")
    return ArgDef(found[1], *_OCCURRENCE[found[2]])


def _attribute(word: str) -> AttrDef:
    found = _ATTRIBUTE.fullmatch(word)
    if found is None:
        raise ValueError(f"catalogue.toml: the attribute {word!r}")
    name, kind, length, default = found.groups()
    parsed = None if default is None else Attr(kind, _parse(kind, default[1:]))
    return AttrDef(name, kind, int(length) if length else None, parsed)


def _parse(kind: str, text: str) -> Any:
    if kind.endswith("_vec"):
        return tuple(_parse(kind.removesuffix("_vec"), item) for item in text.split(",") if item)
    if kind == "bool":
        return text == "true"
    if kind == "bytes":
        return text.encode()
    if kind == "string":
        return text
    return float(text) if kind in ("float", "double") else int(text)

"""Recipes as TOML text: every field of `Recipe` by its name, on top of a `base` recipe.

    base = "dpu-cnn"
    [activations]
    method = "percentile"
    percentile = 99.99
    [[override]]
    op = "/head/*"
    keep_float = true

`false` switches off what a table would describe: equalize = false.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, get_type_hints

from quantforge.diagnostics import InputError
from quantforge.numerics.formats import FloatFormat, IntFormat, parse_format
from quantforge.quantization.recipe import Override, Recipe, named_recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Table = dict[str, Any]


def load_recipe(source: str | Path | Recipe) -> Recipe:
    """A recipe from itself, a built-in name, or the path of a TOML file.

    Raises:
        InputError: Q0311 for an unknown name, Q0312 for a file that cannot be read, Q0313 for a wrong key or value.
    """
    if isinstance(source, Recipe):
        return source
    path = Path(source)
    if path.suffix != ".toml":
        return named_recipe(str(source))
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "Q0312", str(path), str(error), "a readable recipe file", "check the path"
        ) from error
    return parse_recipe(text, str(path))


def parse_recipe(text: str, where: str = "recipe") -> Recipe:
    """Read the TOML text of a recipe; `where` names it in errors.

    >>> parse_recipe('base = "cpu-cnn"\\n[weights]\\nper_channel = true').weights.per_channel
    True
    """
    table = _toml(text, where)
    base = named_recipe(str(table.pop("base", "dpu-cnn")))
    return _laid_over(base, table, where)


def patch_recipe(recipe: Recipe, text: str, where: str = "remedies") -> Recipe:
    """`recipe` with the keys of a TOML text laid over it and its overrides added, as a report proposes them.

    >>> patch_recipe(named_recipe("dpu"), "[equalize]\\nsweeps = 5").equalize
    Equalization(sweeps=5, activations=True, include_bias=False, least_change=None)
    """
    return _laid_over(recipe, _toml(text, where), where)


def parse_overrides(text: str, where: str = "overrides") -> tuple[Override, ...]:
    """The ``[[override]]`` tables of a TOML text, as a report writes them; other keys are refused."""
    table = _toml(text, where)
    unknown = sorted(set(table) - {"override"})
    if unknown:
        raise InputError("Q0313", where, f"key {unknown[0]!r}", "only [[override]] tables", "remove it")
    return _overrides(table.get("override", []), where)


def recipe_text(recipe: Recipe) -> str:
    """The TOML text of a recipe, complete: `parse_recipe` gives back an equal one."""
    lines = ['base = "dpu-cnn"']
    tables = []
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if field.name == "overrides":
            tables += [["", "[[override]]", *_lines(override, skip_unset=True)] for override in value]
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            tables.append(["", f"[{field.name}]", *_lines(value)])
        else:
            lines.append(f"{field.name} = {'false' if value is None else _literal(value)}")
    return "\n".join([*lines, *(line for table in tables for line in table)]) + "\n"


def _lines(data: Any, skip_unset: bool = False) -> list[str]:
    rows = [(f.name, getattr(data, f.name), f.default) for f in dataclasses.fields(data)]
    return [
        f"{name} = {_literal(value)}"
        for name, value, default in rows
        if value is not None and not (skip_unset and value == default)
    ]


def _literal(value: Any) -> str:
    if isinstance(value, Enum):
        return json.dumps(value.value)
    if isinstance(value, (IntFormat, FloatFormat)):
        return json.dumps(str(value))
    if isinstance(value, tuple):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return json.dumps(value)


def _laid_over(recipe: Recipe, table: Table, where: str) -> Recipe:
    overrides = _overrides(table.pop("override", []), where)
    changed: Recipe = _updated(recipe, table, where, "")
    return changed.with_overrides(overrides)


def _toml(text: str, where: str) -> Table:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError("Q0313", where, str(error), "TOML", "check the quotes and brackets") from error


def _overrides(tables: Any, where: str) -> tuple[Override, ...]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InputError(
            "Q0313", where, "override", "[[override]] tables", 'write [[override]] and op = "name"'
        )
    return tuple(Override(**_fields(Override, table, where, "override")) for table in tables)


def _updated(data: Any, table: Mapping[str, Any], where: str, path: str) -> Any:
    return dataclasses.replace(data, **_fields(type(data), table, where, path, data))


def _fields(kind: type, table: Mapping[str, Any], where: str, path: str, current: Any = None) -> Table:
    """Check and convert the keys of `table` to the field types of the dataclass `kind`."""
    hints = get_type_hints(kind)
    fields: Table = {}
    for key, value in table.items():
        label = f"{path}.{key}" if path else key
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            fix = f"{near[0]!r}" if near else f"one of {', '.join(hints)}"
            raise InputError("Q0313", where, f"key {label!r}", "a field of the recipe", fix)
        fields[key] = _converted(hints[key], value, where, label, getattr(current, key, None))
    return fields


def _converted(hint: Any, value: Any, where: str, label: str, current: Any) -> Any:
    """`value` as the type `hint`, which may be a union with None."""
    options = [option for option in getattr(hint, "__args__", (hint,)) if option is not type(None)]
    if value is False and type(None) in getattr(hint, "__args__", ()) and bool not in options:
        return None
    if hint is tuple or getattr(hint, "__origin__", None) is tuple:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise InputError("Q0313", where, f"{label} = {value!r}", "a list of texts", f'{label} = ["conv2d"]')
    for option in options:
        if option in (IntFormat, FloatFormat):
            return parse_format(str(value))
        if isinstance(option, type) and issubclass(option, Enum):
            return _member(option, value, where, label)
        if dataclasses.is_dataclass(option) and isinstance(value, dict):
            assert isinstance(option, type)  # noqa: S101
            return _updated(option() if current is None else current, value, where, label)
        if option is float and type(value) in (int, float):
            return float(value)
        if type(value) is option:
            return value
    names = " or ".join(getattr(option, "__name__", str(option)) for option in options)
    raise InputError("Q0313", where, f"{label} = {value!r}", names, f"give a {names}")


def _member(kind: type[Enum], value: Any, where: str, label: str) -> Enum:
    members = [member.value for member in kind]
    if value not in members:
        near = difflib.get_close_matches(str(value), members, n=1)
        fix = f'{label} = "{(near or members)[0]}"'
        raise InputError("Q0313", where, f"{label} = {value!r}", f"one of {', '.join(members)}", fix)
    return kind(value)

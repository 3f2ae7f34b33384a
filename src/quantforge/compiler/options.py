"""The options of the compiler's command line: one JSON object, as chapter 4 of the user guide UG1414 lists them.

{"input_shape": "1,224,224,3"}      sizes of the input; {"name": "1,3,32,32"} as the value for several inputs
{"output_ops": "name0,name1"}       end the model at these operators
{"plugins": "plugin0,plugin1"}      modules or files of plugins, in the order in which they are asked
{"prefetch": "true"}                load the parameters of a layer while the one before it computes
{"hd_opt": "true"}                  accepted; the schedule tiles large images with or without it
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from quantforge.diagnostics import InputError

KNOWN = ("input_shape", "output_ops", "plugins", "prefetch", "hd_opt")
_EXAMPLE = """--options '{"input_shape": "1,224,224,3", "prefetch": "true"}'"""
ANY_INPUT = ""


@dataclass(frozen=True)
class CompileOptions:
    """What the caller may set.

    Attributes:
        input_shapes: Sizes by input; under the key "" those of a model's only input.
        output_ops: Operators to end the model at; empty for its own outputs.
        plugins: Modules or files of plugins.
        prefetch: Load the parameters of a layer while the one before it computes; None lets the compiler choose.
        hd_opt: The switch for large images.
    """

    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))
    output_ops: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    prefetch: bool | None = None
    hd_opt: bool = False


def parse_options(text: str | None) -> CompileOptions:
    """Options from the JSON object of the command line; None and "" mean none.

    >>> parse_options('{"input_shape": "1,32,32,3", "prefetch": "true"}').input_shapes
    {'': (1, 32, 32, 3)}

    Raises:
        InputError: Q1103 for what is no JSON object, an unknown key, or a value without a meaning.
    """
    if not text:
        return CompileOptions()
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise _wrong(
            f"{text!r}: {error.msg} at character {error.pos}", "one JSON object in quotes"
        ) from error
    if not isinstance(given, dict):
        raise _wrong(repr(given), "one JSON object in quotes")
    for key in given:
        if key not in KNOWN:
            near = difflib.get_close_matches(key, KNOWN, n=1)
            raise _wrong(
                f"the key {key!r}", f"one of {', '.join(KNOWN)}", f"write {near[0]!r}" if near else None
            )
    return CompileOptions(
        _shapes(given.get("input_shape")),
        _names(given, "output_ops"),
        _names(given, "plugins"),
        _switch(given, "prefetch"),
        bool(_switch(given, "hd_opt")),
    )


def _shapes(value: Any) -> dict[str, tuple[int, ...]]:
    if value is None:
        return {}
    if isinstance(value, dict):
        return {str(name): _sizes(sizes) for name, sizes in value.items()}
    return {ANY_INPUT: _sizes(value)}


def _sizes(value: Any) -> tuple[int, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    try:
        sizes = tuple(int(part) for part in parts)
    except (TypeError, ValueError) as error:
        raise _wrong(f"input_shape {value!r}", "whole numbers with commas, such as 1,224,224,3") from error
    if not sizes or min(sizes) < 1:
        raise _wrong(f"input_shape {value!r}", "sizes of 1 or more")
    return sizes


def _names(given: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = given.get(key)
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise _wrong(f"{key} {value!r}", "names with commas between them")
    return tuple(part.strip() for part in parts if part.strip())


def _switch(given: Mapping[str, Any], key: str) -> bool | None:
    value = given.get(key)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise _wrong(f"{key} {value!r}", 'the text "true" or "false"')


def _wrong(found: str, expected: str, fix: str | None = None) -> InputError:
    return InputError("Q1103", "--options", found, expected, fix or _EXAMPLE)

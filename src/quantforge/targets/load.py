"""Targets: what a device can compute, read from TOML files beside this module or from the user's own.

    name = "dpu"
    description = "..."
    scales = ["power-of-two"]     # and "float"
    per_channel = false           # scales per channel of weights
    asymmetric = false            # activations with any zero point
    [formats]
    activations = ["int8"]
    weights = ["int8"]
    bias = ["int8"]
    [shifts]                      # optional: bounds in bits of the shifts of its power-of-two arithmetic
    cut = [0, 16]

Sources of the files here: chapter "Quantization" of the user guide UG1414, and the limits that the ONNX quantizer of
Vitis AI checks (AdjustShiftCut, AdjustShiftRead, AdjustShiftWrite).
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.numerics.formats import Format, parse_format

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Bounds = tuple[int, int]
SCALES = ("float", "power-of-two")


@dataclass(frozen=True)
class Shifts:
    """Bounds of shifts, in bits, both ends included. With positions f of the tensors of an operator:

    Attributes:
        cut: f_in + f_weights - f_out of convolutions and matrix products.
        read: largest minus smallest f_in of an addition or subtraction.
        write_add: smallest f_in - f_out of an addition or subtraction.
        write_mul: sum of f_in - f_out of a product.
        write_swish: the same where one factor is a hard sigmoid of the other.
        bias: f_in + f_weights - f_bias; at least min(0, cut - largest cut), and 0 in front of a leaky ReLU.
        sigmoid_in: f_in of a hard sigmoid.
        sigmoid_out: f_out of a hard sigmoid.
        sigmoid: 14 + f_in - f_out of a hard sigmoid, whose slope is 2731 / 2**14.
    """

    cut: Bounds
    read: Bounds
    write_add: Bounds
    write_mul: Bounds
    write_swish: Bounds
    bias: Bounds
    sigmoid_in: Bounds
    sigmoid_out: Bounds
    sigmoid: Bounds


@dataclass(frozen=True)
class Target:
    """What a device can compute.

    Attributes:
        name: Short name.
        description: One line for people.
        scales: Legal kinds of scales, "float" or "power-of-two".
        activations: Legal formats of activations.
        weights: Legal formats of weights.
        bias: Legal formats of biases.
        per_channel: Whether weights may have a scale per channel.
        asymmetric: Whether zero points may lie anywhere.
        shifts: Bounds of its shifts, None when it has none.
    """

    name: str
    description: str
    scales: tuple[str, ...]
    activations: tuple[Format, ...]
    weights: tuple[Format, ...]
    bias: tuple[Format, ...]
    per_channel: bool
    asymmetric: bool
    shifts: Shifts | None = None


def target_names() -> tuple[str, ...]:
    """Names of the built-in targets.

    >>> target_names()
    ('cpu', 'dpu', 'npu')
    """
    folder = resources.files("quantforge.targets")
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def load_target(source: str | Path) -> Target:
    """A built-in target by name, or one from a TOML file.

    >>> load_target("dpu").per_channel
    False

    Raises:
        InputError: Q0320 when there is no such target, Q0321 when its file cannot be read or is wrong.
    """
    path = Path(source)
    if path.suffix == ".toml":
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            fix = "check the path"
            raise InputError("Q0321", str(path), str(error), "a readable TOML file", fix) from error
        return parse_target(text, str(path))
    names = target_names()
    if str(source) not in names:
        near = difflib.get_close_matches(str(source).lower(), names, n=1, cutoff=0.3)
        fix = f"target={(near or names)[0]!r}"
        raise InputError(
            "Q0320", "target", repr(str(source)), f"one of {', '.join(names)}, or a .toml file", fix
        )
    file = resources.files("quantforge.targets").joinpath(f"{source}.toml")
    return parse_target(file.read_text("utf-8"), f"target {source}")


def parse_target(text: str, where: str = "target") -> Target:
    """Read the TOML text of a target; `where` names it in errors.

    Raises:
        InputError: Q0321 for a key that is missing or unknown, or a value of the wrong kind; Q0303 for a format.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError("Q0321", where, str(error), "TOML", "check the quotes and brackets") from error
    formats = _table(table.pop("formats", {}), ("activations", "weights", "bias"), where, "formats.")
    shifts = table.pop("shifts", None)
    keys = ("name", "description", "scales", "per_channel", "asymmetric")
    plain = _table(table, keys, where, "")
    for key, kind in (("name", str), ("description", str), ("per_channel", bool), ("asymmetric", bool)):
        if type(plain[key]) is not kind:
            raise _wrong(where, key, plain[key], f"a {kind.__name__}")
    scales = _texts(plain["scales"], where, "scales")
    if not set(scales) <= set(SCALES):
        raise _wrong(where, "scales", list(scales), f"some of {', '.join(SCALES)}")
    return Target(
        name=plain["name"],
        description=plain["description"],
        scales=scales,
        **{key: _formats(value, where, f"formats.{key}") for key, value in formats.items()},
        per_channel=plain["per_channel"],
        asymmetric=plain["asymmetric"],
        shifts=None if shifts is None else _shifts(shifts, where),
    )


def _shifts(table: Any, where: str) -> Shifts:
    rows = _table(table, tuple(field.name for field in fields(Shifts)), where, "shifts.")
    return Shifts(**{key: _bounds(value, where, f"shifts.{key}") for key, value in rows.items()})


def _bounds(value: Any, where: str, label: str) -> Bounds:
    if isinstance(value, list) and [type(end) for end in value] == [int, int] and value[0] <= value[1]:
        return value[0], value[1]
    raise _wrong(where, label, value, "two integers, the smaller one first")


def _formats(value: Any, where: str, label: str) -> tuple[Format, ...]:
    return tuple(parse_format(text) for text in _texts(value, where, label))


def _texts(value: Any, where: str, label: str) -> tuple[str, ...]:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise _wrong(where, label, value, "a list of texts")


def _table(value: Any, keys: tuple[str, ...], where: str, prefix: str) -> Mapping[str, Any]:
    """`value` when it is a table with exactly these keys."""
    if not isinstance(value, dict):
        raise _wrong(where, prefix.rstrip("."), value, "a table")
    for key in value:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            fix = f"{prefix}{near[0]}" if near else f"one of {', '.join(keys)}"
            raise InputError("Q0321", where, f"key {prefix}{key}", "a key of a target", fix)
    missing = [key for key in keys if key not in value]
    if missing:
        raise InputError("Q0321", where, f"no key {prefix}{missing[0]}", "all keys of a target", "add it")
    return value


def _wrong(where: str, label: str, value: object, expected: str) -> InputError:
    return InputError("Q0321", where, f"{label} = {value!r}", expected, "see src/quantforge/targets/dpu.toml")

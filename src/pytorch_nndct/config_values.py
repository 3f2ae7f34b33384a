"""Single keys and values of the JSON quantization configuration, and the settings of one kind of tensor."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from quantforge.diagnostics import InputError

KINDS = ("input", "weights", "bias", "activation")
DATATYPES = ("int", "bfloat16", "float16", "float32")
METHODS = ("maxmin", "percentile", "mse", "entropy", "diffs")
ROUND_MODES = ("half_even", "half_up", "half_down", "std_round")
SCALE_TYPES = ("float", "poweroftwo")
STATISTICS = ("modal", "max", "mean", "median")
_WIDTHS = range(2, 33)
_CHOICES = {
    "datatype": DATATYPES,
    "method": METHODS,
    "round_mode": ROUND_MODES,
    "scale_type": SCALE_TYPES,
    "calib_statistic_method": STATISTICS,
}
_FLAGS = ("symmetry", "per_channel", "signed", "narrow_range")
_ALIASES = {"data_type": "datatype"}  # as the user guide's list of settings writes it
_KEYS = (*_CHOICES, *_FLAGS, "bit_width", "percentage")


@dataclass(frozen=True)
class TensorConfig:
    """The settings of one kind of tensor, under their names in the file."""

    datatype: str = "int"
    bit_width: int = 8
    method: str = "diffs"
    round_mode: str = "std_round"
    symmetry: bool = True
    per_channel: bool = False
    signed: bool = True
    narrow_range: bool = False
    scale_type: str = "poweroftwo"
    calib_statistic_method: str = "modal"
    percentage: float = 99.99

    @classmethod
    def default(cls, kind: str) -> TensorConfig:
        """What a file that says nothing means for a kind of tensor.

        >>> TensorConfig.default("activation").round_mode, TensorConfig.default("weights").round_mode
        ('half_up', 'std_round')
        """
        return replace(cls(), round_mode="half_up") if kind == "activation" else cls()


def tensor_config(data: Any, where: str) -> dict[str, Any]:
    """The fields of `TensorConfig` that a section sets.

    Raises:
        InputError: Q1431 for a wrong key or value.
    """
    table = checked_keys(data, (*_KEYS, *_ALIASES), where)
    found: dict[str, Any] = {}
    for key, value in table.items():
        name, label = _ALIASES.get(key, key), f"{where}: {key}"
        if name in _CHOICES:
            found[name] = choice(value, _CHOICES[name], label)
        elif name in _FLAGS:
            found[name] = boolean(value, label)
        elif name == "percentage":
            found[name] = _percentage(value, label)
        elif value != 0 or isinstance(value, bool):  # 0 bits leave the width as it is
            found[name] = _width(value, label)
    return found


def checked_keys(data: Any, known: Collection[str], where: str) -> dict[str, Any]:
    """`data` when it is an object with known keys only.

    Raises:
        InputError: Q1431 with the nearest key.
    """
    if not isinstance(data, dict):
        raise refuse(where, type(data).__name__, "an object in braces", "write { ... }")
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise refuse(where, f"key {key!r}", "a known key", repr(near[0]) if near else ", ".join(known))
    return dict(data)


def section(table: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    """The list or object under `key`; None when it is missing or null.

    Raises:
        InputError: Q1431 for anything else.
    """
    value = table.get(key)
    if value is not None and not isinstance(value, kind):
        word = "a list" if kind is list else "an object"
        raise refuse(f"{where}: {key}", type(value).__name__, word, f"write {word}")
    return value


def boolean(value: Any, where: str) -> bool:
    """A bool.

    Raises:
        InputError: Q1431.
    """
    if not isinstance(value, bool):
        raise refuse(where, repr(value), "true or false", "false")
    return value


def choice(value: Any, known: Collection[str], where: str) -> str:
    """One of `known`, whatever its case.

    >>> choice("Float", SCALE_TYPES, "scale_type")
    'float'

    Raises:
        InputError: Q1431 with the nearest one.
    """
    folded = {name.casefold(): name for name in known}
    if not isinstance(value, str) or value.casefold() not in folded:
        near = difflib.get_close_matches(str(value).casefold(), folded, n=1)
        fix = folded[near[0]] if near else next(iter(known))
        raise refuse(where, repr(value), " or ".join(known), repr(fix))
    return folded[value.casefold()]


def listed(value: Any, known: Collection[str], where: str) -> tuple[str, ...]:
    """A list of some of `known`.

    Raises:
        InputError: Q1431.
    """
    if not isinstance(value, list):
        raise refuse(where, repr(value), "a list", f"write {list(known)}")
    return tuple(dict.fromkeys(choice(item, known, where) for item in value))


def whole_number(value: Any, least: int, most: int, where: str) -> int:
    """An integer within bounds.

    Raises:
        InputError: Q1431.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise refuse(where, repr(value), f"an integer from {least} to {most}", str(most))
    return value


def refuse(where: str, found: str, expected: str, fix: str) -> InputError:
    """Q1431 under the original's name of the message."""
    return InputError("Q1431", f"{where} (QUANTIZER_TORCH_QUANT_CONFIG)", found, expected, fix)


def _width(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in _WIDTHS:
        expected = f"{_WIDTHS.start} to {_WIDTHS.stop - 1} bits"
        raise InputError(
            "Q1431", f"{where} (QUANTIZER_TORCH_ILLEGAL_BITWIDTH)", repr(value), expected, "bit_width 8"
        )
    return value


def _percentage(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value <= 100.0:
        raise refuse(where, repr(value), "a number above 0 and up to 100", "99.99")
    return float(value)

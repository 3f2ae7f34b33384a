"""DPUs as TOML files: those that come with quantforge, and the user's own.

    name = "DPUCZDX8G_ISA1_B4096"
    family = "DPUCZDX8G"
    isa_version = 1
    feature_code = 0x000056010407
    load_parallel = 16
    save_parallel = 16
    argmax = true                     # optional, false when absent; batch is 1 when absent
    frequency_mhz = 300               # optional, as are aie_frequency_mhz and bandwidth_mb_s
    [banks.VB0]
    kind = "image"                    # or "param", "special"
    number = 8
    width = 16
    depth = 2048
    [conv]                            # and eltwise, pool, depthwise, alu: the fields of Engine
    input_channel_parallel = 16
    kernel = "1-16"
    pad_limit = ["0-15", "0-255", "0-15", "0-255"]

A file may start from a known DPU with `base = "..."` (a name, a board or a fingerprint); then it says only what is
different, table by table.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.targets.dpu_limits import Limits, parse_limits
from quantforge.targets.dpu_records import BANK_KINDS, FAMILIES, Bank, DpuTarget, Engine

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENGINES = ("conv", "eltwise", "pool", "depthwise", "alu")
_NUMBERS = ("frequency_mhz", "aie_frequency_mhz", "bandwidth_mb_s")
_TEXTS = ("name", "family")
_COUNTS = ("isa_version", "feature_code", "batch", "load_parallel", "save_parallel", "cores", "engines")
_KEYS = (*_TEXTS, *_COUNTS, "argmax", *_NUMBERS, "banks", *ENGINES)
_NEEDED = ("name", "family", "isa_version", "feature_code", "banks", "conv")
_LIMITS = ("kernel", "stride", "max_kernel", "max_stride", "avg_kernel", "avg_stride", "stride_out_h")
_LISTS = ("nonlinear", "types", "input_banks", "output_banks")
_PLAIN_ENGINE = Engine()


def parse_dpu(text: str, where: str, base: Callable[[str], DpuTarget] | None = None) -> DpuTarget:
    """The DPU that a TOML text describes.

    Args:
        text: The file's content.
        where: Names the file in errors.
        base: Finds the DPU that the file's `base` names; without it the key `base` is unknown.

    Raises:
        InputError: Q1005 for a key that is missing or unknown, or a value of the wrong kind; Q1006 for a limit.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError("Q1005", where, str(error), "TOML", "check the quotes and brackets") from error
    start = table.pop("base", None) if base is not None else None
    known = None
    if start is not None and base is not None:
        known = base(_of_kind(start, str, where, "base"))
    _check_keys(table, _KEYS, () if known else _NEEDED, where, "")
    return _over(known, table, where)


def _over(known: DpuTarget | None, table: Mapping[str, Any], where: str) -> DpuTarget:
    """`known` with what the table says, or a new target when there is nothing to start from."""
    changes: dict[str, Any] = {}
    for key in _TEXTS + _COUNTS:
        if key in table:
            changes[key] = _of_kind(table[key], str if key in _TEXTS else int, where, key)
    if "argmax" in table:
        changes["argmax"] = _of_kind(table["argmax"], bool, where, "argmax")
    for key in _NUMBERS:
        if key in table:
            changes[key] = _positive(table[key], where, key)
    if "banks" in table:
        changes["banks"] = _banks(known.banks if known else (), table["banks"], where)
    for key in ENGINES:
        if key in table:
            changes[key] = _engine(getattr(known, key, None), table[key], where, key)
    _check_identity(changes, where)
    if known is not None:
        return replace(known, **changes)
    blank: dict[str, Any] = dict.fromkeys((*ENGINES, "load_parallel", "save_parallel"))
    return DpuTarget(**{**blank, "batch": 1, "argmax": False, **changes})


def _check_identity(changes: Mapping[str, Any], where: str) -> None:
    """Everything that goes into the fingerprint has to fit there."""
    if "family" in changes and changes["family"] not in FAMILIES:
        near = difflib.get_close_matches(changes["family"], FAMILIES, n=1, cutoff=0)
        raise InputError(
            "Q1005", where, f"family = {changes['family']!r}", f"one of {', '.join(FAMILIES)}", near[0]
        )
    for key, bits in (("isa_version", 8), ("feature_code", 48)):
        if not 0 <= changes.get(key, 0) < 1 << bits:
            raise _wrong(where, key, changes[key], f"a number of {bits} bits")
    for key in ("batch", "load_parallel", "save_parallel", "cores", "engines"):
        if changes.get(key, 1) < 1:
            raise _wrong(where, key, changes[key], "1 or more")


def _banks(known: tuple[Bank, ...], table: Any, where: str) -> tuple[Bank, ...]:
    found = {bank.name: bank for bank in known}
    for name, row in _of_kind(table, dict, where, "banks").items():
        prefix = f"banks.{name}."
        old = found.get(name)
        keys = ("kind", "number", "width", "depth")
        _check_keys(row, (*keys, "word_bits"), () if old else keys, where, prefix)
        values = {
            key: _of_kind(value, str if key == "kind" else int, where, prefix + key)
            for key, value in row.items()
        }
        for key, value in values.items():
            if key == "kind" and value not in BANK_KINDS:
                raise _wrong(where, prefix + key, value, f"one of {', '.join(BANK_KINDS)}")
            if key != "kind" and value < 1:
                raise _wrong(where, prefix + key, value, "1 or more")
        found[name] = replace(old, **values) if old else Bank(name, **values)
    return tuple(found.values())


def _engine(known: Engine | None, table: Any, where: str, label: str) -> Engine:
    prefix = f"{label}."
    _check_keys(table, tuple(field.name for field in fields(Engine)), (), where, prefix)
    read: dict[str, Any] = {}
    for key, value in table.items():
        name = prefix + key
        if key in _LIMITS:
            read[key] = _limits(value, where, name)
        elif key in _LISTS:
            read[key] = tuple(_of_kind(item, str, where, name) for item in _of_kind(value, list, where, name))
        elif key == "pad_limit":
            if len(_of_kind(value, list, where, name)) != 4:
                raise _wrong(where, name, value, "limits of left, right, top and bottom")
            read[key] = tuple(_limits(item, where, name) for item in value)
        else:
            read[key] = _of_kind(value, str if key.endswith("_bank") else int, where, name)
            if not key.endswith("_bank") and value < 0:
                raise _wrong(where, name, value, "0 or more")
    return replace(known or _PLAIN_ENGINE, **read)


def _limits(value: Any, where: str, label: str) -> Limits:
    return parse_limits(_of_kind(value, str, where, label), f"{where}, {label}")


def _check_keys(table: Any, keys: tuple[str, ...], needed: tuple[str, ...], where: str, prefix: str) -> None:
    """Raise unless `table` is a table with these keys at most, and the needed ones at least."""
    for key in _of_kind(table, dict, where, prefix.rstrip(".") or "file"):
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            fix = f"{prefix}{near[0]}" if near else f"one of {', '.join(keys)}"
            raise InputError("Q1005", where, f"key {prefix}{key}", "a key of a DPU", fix)
    missing = [key for key in needed if key not in table]
    if missing:
        raise InputError("Q1005", where, f"no key {prefix}{missing[0]}", "all keys of a DPU", "add it")


def _of_kind(value: Any, kind: type, where: str, label: str) -> Any:
    if type(value) is not kind:
        names = {str: "a text", int: "a whole number", bool: "true or false", dict: "a table", list: "a list"}
        raise _wrong(where, label, value, names[kind])
    return value


def _positive(value: Any, where: str, label: str) -> float:
    if type(value) not in (int, float) or not 0 < value < float("inf"):
        raise _wrong(where, label, value, "a number above 0")
    return float(value)


def _wrong(where: str, label: str, value: object, expected: str) -> InputError:
    fix = "quantforge targets NAME --toml prints one to start from"
    return InputError("Q1005", where, f"{label} = {value!r}", expected, fix)

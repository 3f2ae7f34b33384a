"""The YAML file of block floating point.

    bfp:
      bitwidth: 13              # of shared exponent, sign and mantissa; 10 to 16, without prime to 24
      block_size: 16
      rounding_mode: round_to_nearest     # or round_toward_zero
      prime: {mode: shared, sub_block_size: 2, sub_block_shift_bits: 1}     # or mode: null
    non_linear_approx: {mode: no_approx}

What is left out has the original's default: 16 bits, blocks of 8, no prime.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from quantforge.diagnostics import InputError, UnsupportedError
from quantforge.frontends.torch.blocks.place import BlockRecipe
from quantforge.numerics.block_float import BlockFormat, microexponents, plain_blocks
from quantforge.numerics.rounding import Rounding

_ROUNDINGS = ("round_to_nearest", "round_toward_zero")


def read_config(path: str | Path) -> BlockRecipe:
    """The recipe in a YAML file.

    Raises:
        InputError: Q1476 for a file, key or value that does not fit, Q1475 for sizes that make no format.
        UnsupportedError: Q1477 for prime mode normal and for approximations of functions.
    """
    import yaml

    try:
        table = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError("Q1476", str(path), reason, "a YAML file", "check the path and the text") from error
    table = _table(table, str(path), ("bfp", "non_linear_approx"))
    _no_approximation(_table(table.get("non_linear_approx"), f"{path}: non_linear_approx", _APPROXIMATION))
    return BlockRecipe(_format(_table(table.get("bfp"), f"{path}: bfp", _BFP), f"{path}: bfp"))


_BFP = ("bitwidth", "block_size", "rounding_mode", "prime")
_PRIME = ("mode", "sub_block_size", "sub_block_shift_bits")
_APPROXIMATION = ("mode", "degree", "exp_table_size")


def _format(table: Mapping[str, Any], where: str) -> BlockFormat:
    width, block = _integer(table, "bitwidth", 16, where), _integer(table, "block_size", 8, where)
    mode = table.get("rounding_mode", _ROUNDINGS[0])
    if mode not in _ROUNDINGS:
        raise _refused(f"{where}.rounding_mode", mode, " or ".join(_ROUNDINGS))
    prime = _table(table.get("prime"), f"{where}.prime", _PRIME)
    kind = prime.get("mode")
    if kind == "normal":
        raise UnsupportedError(
            "Q1477", f"{where}.prime.mode", "'normal'", "shared or null", "use shared, as mx6 and mx9 do"
        )
    if kind not in (None, "null", "shared"):
        raise _refused(f"{where}.prime.mode", kind, "shared or null")
    if kind == "shared":
        sub = _integer(prime, "sub_block_size", 2, f"{where}.prime")
        shift = _integer(prime, "sub_block_shift_bits", 1, f"{where}.prime")
        found = microexponents(width, block, sub, shift)
    else:
        found = plain_blocks(width, block)
    return found if mode == _ROUNDINGS[0] else replace(found, rounding=Rounding.TOWARD_ZERO)


def _no_approximation(table: Mapping[str, Any]) -> None:
    mode = table.get("mode", "no_approx")
    if mode in ("exp_poly", "exp_lut"):
        raise UnsupportedError(
            "Q1477", "non_linear_approx.mode", repr(mode), "no_approx",
            "use no_approx: softmax and its like then read bfloat16 and compute exactly",
        )  # fmt: skip
    if mode != "no_approx":
        raise _refused("non_linear_approx.mode", mode, "no_approx")


def _table(found: Any, where: str, keys: Collection[str]) -> Mapping[str, Any]:
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise _refused(where, found, f"a table with {', '.join(keys)}")
    for key in found:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, 1)
            raise InputError(
                "Q1476", where, f"key {key!r}", ", ".join(keys), near[0] if near else "remove the key"
            )
    return found


def _integer(table: Mapping[str, Any], key: str, default: int, where: str) -> int:
    found = table.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int):
        raise _refused(f"{where}.{key}", found, "an integer")
    return found


def _refused(where: str, found: Any, expected: str) -> InputError:
    return InputError("Q1476", where, repr(found), expected, f"write {expected}")

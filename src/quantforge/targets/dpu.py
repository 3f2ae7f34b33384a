"""DPUs by name, board, fingerprint, arch.json or file.

The files in `dpu/` hold one DPU each; `dpu/index.toml` holds the boards and the names that are no longer in use.
Sources: the target files of Vitis AI 3.5 (src/vai_runtime/target_factory) for DPUs; the model zoo's README files and
the product guides PG338, PG367 and PG389 for clocks; board and device data sheets for memory bandwidths.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.targets.dpu_features import decode_fingerprint
from quantforge.targets.dpu_files import parse_dpu
from quantforge.targets.dpu_limits import Limits, allows, limits_text, parse_limits
from quantforge.targets.dpu_records import FAMILIES, Bank, BankKind, DpuTarget, Engine

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "FAMILIES",
    "Bank",
    "BankKind",
    "Board",
    "DpuTarget",
    "Engine",
    "Limits",
    "allows",
    "board_names",
    "dpu_boards",
    "dpu_names",
    "limits_text",
    "load_dpu",
    "parse_limits",
]

_INDEX = "index.toml"
_FOLDER = resources.files("quantforge.targets").joinpath("dpu")


@dataclass(frozen=True)
class Board:
    """A board: its DPU, others it can carry, and how the DPU runs on it. None means "not published".

    Attributes:
        name: Such as ZCU102.
        target: Name of its DPU; None where every hardware build has its own.
        alternatives: Names of other DPUs for it, which other overlays or releases carry.
        frequency_mhz: Clock of the DPU.
        aie_frequency_mhz: Clock of the AI Engines, on boards that have them.
        cores: DPU cores, which work on their own.
        engines: Images that one core takes at a time in separate engines.
        bandwidth_mb_s: Theoretical memory bandwidth in 10**6 bytes per second.
    """

    name: str
    target: str | None
    alternatives: tuple[str, ...] = ()
    frequency_mhz: float | None = None
    aie_frequency_mhz: float | None = None
    cores: int = 1
    engines: int = 1
    bandwidth_mb_s: float | None = None


def dpu_names() -> tuple[str, ...]:
    """Names of the registered DPUs.

    >>> "DPUCZDX8G_ISA1_B4096" in dpu_names()
    True
    """
    names = (file.name for file in _FOLDER.iterdir())
    return tuple(sorted(n.removesuffix(".toml") for n in names if n.endswith(".toml") and n != _INDEX))


def dpu_boards() -> tuple[Board, ...]:
    """All known boards."""
    rows = _index()["boards"]
    return tuple(
        Board(name=name, **{"target": None, **row, "alternatives": tuple(row.get("alternatives", ()))})
        for name, row in rows.items()
    )


def board_names() -> tuple[str, ...]:
    """Names of the boards whose DPU is known.

    >>> "KV260" in board_names()
    True
    """
    return tuple(board.name for board in dpu_boards() if board.target is not None)


def load_dpu(source: str | Path) -> DpuTarget:
    """A DPU by registered name, board, fingerprint ("0x..."), arch.json or a .toml file of one's own.

    A fingerprint is looked for among the registered DPUs and decoded from its feature bits where it is not there.

    >>> load_dpu("kv260").name
    'DPUCZDX8G_ISA1_B4096'
    >>> load_dpu("0x0101000016010407").argmax
    False

    Raises:
        InputError: Q1000 for an unknown name; Q1001 to Q1003 for a fingerprint; Q1004 for an arch.json; Q1005 and
            Q1006 for a .toml file.
    """
    text = str(source)
    if text.lower().endswith(".toml"):
        return parse_dpu(_read(Path(source), "Q1005", "TOML"), text, _registered)
    if text.lower().endswith(".json"):
        return _from_arch(_read(Path(source), "Q1004", "JSON"), text)
    return _registered(text)


def _registered(text: str) -> DpuTarget:
    """A DPU that needs no file of the user's: by fingerprint, name or board, in any case of letters."""
    if text.lower().startswith("0x"):
        return _of_fingerprint(text)
    boards = {board.name.lower(): board for board in dpu_boards()}
    names = {name.lower(): name for name in dpu_names()}
    if text.lower() in names:
        return _load(names[text.lower()])
    board = boards.get(text.lower())
    if board is None or board.target is None:
        raise _unknown(text, board)
    target = _load(board.target)
    return replace(
        target,
        board=board.name,
        alternatives=board.alternatives,
        frequency_mhz=board.frequency_mhz or target.frequency_mhz,
        aie_frequency_mhz=board.aie_frequency_mhz or target.aie_frequency_mhz,
        bandwidth_mb_s=board.bandwidth_mb_s,
        cores=board.cores,
        engines=board.engines,
    )


@cache
def _load(name: str) -> DpuTarget:
    text = _FOLDER.joinpath(f"{name}.toml").read_text("utf-8")
    target = parse_dpu(text, f"target {name}")
    boards = tuple(b.name for b in dpu_boards() if b.target == name or name in b.alternatives)
    return replace(target, boards=boards)


@cache
def _index() -> Mapping[str, Any]:
    return tomllib.loads(_FOLDER.joinpath(_INDEX).read_text("utf-8"))


@cache
def _fingerprints() -> Mapping[int, str]:
    return {_load(name).fingerprint: name for name in dpu_names()}


def _of_fingerprint(text: str) -> DpuTarget:
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", text):
        fix = "the fingerprint of arch.json, such as 0x0101000056010407"
        raise InputError("Q1002", "fingerprint", repr(text), "0x and up to 16 hexadecimal digits", fix)
    value = int(text, 16)
    name = _fingerprints().get(value)
    return decode_fingerprint(value) if name is None else _load(name)


def _from_arch(text: str, where: str) -> DpuTarget:
    """arch.json: an object with either `target` or `fingerprint`."""
    expected = '{"target": "<name>"} or {"fingerprint": "0x..."}'
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError("Q1004", where, str(error), expected, "check the quotes and brackets") from error
    row = found if isinstance(found, dict) else {}
    value = row.get("target", row.get("fingerprint"))
    if not isinstance(value, str) or ("target" in row and "fingerprint" in row):
        shown = ", ".join(map(repr, row)) or type(found).__name__
        raise InputError("Q1004", where, shown, expected, "take the arch.json of the hardware build")
    if "fingerprint" in row:
        return _of_fingerprint(value)
    if value not in dpu_names():
        raise _unknown(value, None)
    return _load(value)


def _unknown(text: str, board: Board | None) -> InputError:
    """What to say of a name that is not registered."""
    expected = 'the name of a DPU or board, "0x" and a fingerprint, an arch.json or a .toml file'
    if board is not None:
        found = f"{board.name}, which has no standard DPU"
        return InputError("Q1000", "target", found, expected, "the arch.json of the hardware build")
    expired = {name.lower(): code for name, code in _index()["expired"].items()}
    if text.lower() in expired:
        found = f"{text!r}, a name that is no longer registered"
        return InputError("Q1000", "target", found, expected, f"its fingerprint: {expired[text.lower()]}")
    names = [*dpu_names(), *board_names()]
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(text.lower(), lower, n=1, cutoff=0.3)
    fix = lower[near[0]] if near else "quantforge targets lists all"
    return InputError("Q1000", "target", repr(text), expected, fix)


def _read(path: Path, code: str, form: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(code, str(path), str(error), f"a readable {form} file", "check the path") from error

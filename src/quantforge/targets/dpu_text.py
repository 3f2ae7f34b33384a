"""A DPU as the text of a .toml file, to start one's own from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields

from quantforge.targets.dpu_limits import limits_text
from quantforge.targets.dpu_records import Bank, DpuTarget, Engine

_TOP = (
    "name", "family", "isa_version", "batch", "load_parallel", "save_parallel", "argmax",
    "frequency_mhz", "aie_frequency_mhz", "bandwidth_mb_s", "cores", "engines",
)  # fmt: skip


def dpu_text(target: DpuTarget) -> str:
    """TOML that `load_dpu` reads back as the same DPU; what depends on the board's name is left out.

    >>> from quantforge.targets.dpu import load_dpu
    >>> dpu_text(load_dpu("KV260")).splitlines()[0]
    'name = "DPUCZDX8G_ISA1_B4096"'
    """
    top = {key: getattr(target, key) for key in _TOP}
    lines = [f"{key} = {_plain(value)}" for key, value in top.items() if value is not None]
    lines.insert(3, f"feature_code = 0x{target.feature_code:012x}")
    for bank in target.banks:
        lines += ["", f"[banks.{bank.name}]", *_bank_lines(bank)]
    for key in ("conv", "eltwise", "pool", "depthwise", "alu"):
        engine: Engine | None = getattr(target, key)
        if engine is not None:
            lines += ["", f"[{key}]", *_engine_lines(engine)]
    return "\n".join(lines) + "\n"


def _bank_lines(bank: Bank) -> Iterator[str]:
    for field in fields(bank):
        value = getattr(bank, field.name)
        if field.name != "name" and value != field.default:
            yield f"{field.name} = {_plain(value)}"


def _engine_lines(engine: Engine) -> Iterator[str]:
    for field in fields(engine):
        value = getattr(engine, field.name)
        if value == field.default:
            continue
        if field.name == "pad_limit":
            yield f"pad_limit = {json.dumps([limits_text(limits) for limits in value])}"
        elif isinstance(value, tuple) and not isinstance(value[0], str):
            yield f'{field.name} = "{limits_text(value)}"'
        else:
            yield f"{field.name} = {_plain(value)}"


def _plain(value: object) -> str:
    """Texts, numbers, truth values and lists of texts are written alike in JSON and TOML."""
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)

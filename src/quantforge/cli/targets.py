"""``quantforge targets``: the DPUs there are, or one of them in detail."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from quantforge.targets.dpu import DpuTarget

ENGINES = ("conv", "eltwise", "pool", "depthwise", "alu")


@click.command(short_help="List the DPUs, or show one.")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--toml", "as_toml", is_flag=True, help="As a file to start one's own from; needs NAME.")
def targets(name: str | None, as_json: bool, as_toml: bool) -> None:
    """List the DPUs, or show one.

    NAME is a DPU (DPUCZDX8G_ISA1_B4096), a board (ZCU102), a fingerprint (0x...), an arch.json or a .toml file.
    """
    from quantforge.targets.dpu import dpu_names, load_dpu
    from quantforge.targets.dpu_text import dpu_text

    if as_toml and (as_json or name is None):
        raise click.UsageError("--toml needs NAME, and does not go with --json")
    if name is None:
        rows = [load_dpu(known) for known in dpu_names()]
        if as_json:
            click.echo(json.dumps([summary(target) for target in rows], indent=2))
        else:
            _print_table(rows)
        return
    target = load_dpu(name)
    if as_toml:
        click.echo(dpu_text(target), nl=False)
    elif as_json:
        click.echo(json.dumps(details(target), indent=2))
    else:
        _print_details(target)


def summary(target: DpuTarget) -> dict[str, Any]:
    """What the list says of a DPU."""
    return {
        "name": target.name,
        "fingerprint": target.fingerprint_text,
        "peak_ops_per_cycle": target.peak_ops_per_cycle,
        "batch": target.batch,
        "frequency_mhz": target.frequency_mhz,
        "aie_frequency_mhz": target.aie_frequency_mhz,
        "boards": list(target.boards),
    }


def details(target: DpuTarget) -> dict[str, Any]:
    """Everything about a DPU; limits are texts as in the files, absent things are None."""
    from quantforge.targets.dpu import limits_text

    found = {**asdict(target), **summary(target)}
    for key in ENGINES:
        for field, value in (found[key] or {}).items():
            if field == "pad_limit" and value is not None:
                found[key][field] = [limits_text(limits) for limits in value]
            elif field.endswith(("kernel", "stride", "stride_out_h")) and value is not None:
                found[key][field] = limits_text(value)
    for bank, row in zip(target.banks, found["banks"], strict=True):
        row["bytes"] = bank.bytes
    return found


def _print_table(rows: list[DpuTarget]) -> None:
    """One line per DPU, boards last because there may be many."""
    table = [("name", "fingerprint", "ops/cycle", "batch", "MHz", "boards")]
    for row in rows:
        peak, batch = str(row.peak_ops_per_cycle), str(row.batch)
        table.append((row.name, row.fingerprint_text, peak, batch, _clock(row), ", ".join(row.boards)))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        left = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(line[2:5], widths[2:5], strict=True)]
        click.echo("  ".join((*left, *right, line[5])).rstrip())


def _clock(target: DpuTarget) -> str:
    clocks = [target.frequency_mhz, target.aie_frequency_mhz]
    return " / ".join(f"{clock:g}" for clock in clocks if clock is not None) or "-"


def _print_details(target: DpuTarget) -> None:
    """One line per fact, one block per engine."""
    rows = {
        "name": target.name,
        "fingerprint": target.fingerprint_text,
        "design": f"{target.family}, instruction set {target.isa_version}",
        "peak": f"{target.peak_ops_per_cycle} operations per cycle and image",
        "batch": str(target.batch),
        "clock": f"{_clock(target)} MHz",
        "load, save": f"{target.load_parallel or '-'}, {target.save_parallel or '-'} channels per cycle",
        "argmax": "yes" if target.argmax else "no",
        "boards": ", ".join(target.boards) or "-",
    }
    if target.board is not None:
        rows["board"] = f"{target.board}: {target.cores} cores of {target.engines} engines"
        rows["others there"] = ", ".join(target.alternatives) or "-"
    for bank in target.banks:
        size = f"{bank.number} x {bank.width} x {bank.depth} x {bank.word_bits} bits"
        rows[bank.name] = f"{bank.kind}, {size} = {bank.bytes / 1024:g} KiB"
    for key, value in rows.items():
        click.echo(f"{key:<13} {value}")
    found = details(target)
    for key in ENGINES:
        if found[key] is not None:
            _print_engine(key, found[key])


def _print_engine(label: str, engine: dict[str, Any]) -> None:
    click.echo(f"\n{label}")
    for key, value in engine.items():
        if value not in (None, (), []):
            text = ", ".join(value) if isinstance(value, list | tuple) else value
            click.echo(f"  {key:<24} {text}")

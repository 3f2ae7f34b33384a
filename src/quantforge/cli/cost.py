"""``quantforge cost MODEL.xmodel``: what a compiled model will cost on its DPU, layer by layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from quantforge.compiler.cost import LayerCost
    from quantforge.compiler.prediction import Prediction


@click.command(short_help="Predict what a compiled model costs on a DPU.")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.option("-a", "--target", help="A DPU or a board; by default what the model was compiled for.")
@click.option("--frequency", type=click.FloatRange(min=0, min_open=True), help="Clock of the DPU in MHz.")
@click.option("--layers", is_flag=True, help="List every layer.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every layer.")
def cost(model: Path, target: str | None, frequency: float | None, layers: bool, as_json: bool) -> None:
    """Predict latency, images per second and memory traffic of the compiled MODEL (.xmodel).

    The prediction comes from the cost model, not from a device; `python -m bench.cost` holds it against published
    figures. What runs on the CPU is not part of it.
    """
    from quantforge.compiler.prediction import predict
    from quantforge.targets.dpu import load_dpu
    from quantforge.xmodel.read import read_xmodel

    read = read_xmodel(model)
    found = predict(read, load_dpu(target or _compiled_for(read)), frequency)
    if as_json:
        click.echo(json.dumps(as_table(found), indent=2))
        return
    if layers:
        _print_layers(found)
    click.echo(found.text())


def _compiled_for(model: Any) -> str:
    names = [part.get("dpu_name") for part in model.root.children if part.get("dpu_name")]
    if not names:
        raise click.UsageError("the model does not say which DPU it was compiled for: give --target")
    return str(names[0])


def as_table(found: Prediction) -> dict[str, Any]:
    """The prediction as plain data."""
    return {
        "target": found.target,
        "frequency_mhz": found.frequency_mhz,
        "latency_ms": found.latency_ms,
        "images_per_s": found.fps,
        "ddr_bytes": found.ddr_bytes,
        "layers": [{"name": name, **_row(layer)} for name, layer in found.layers],
    }


def _row(layer: LayerCost) -> dict[str, Any]:
    return {
        "macs": layer.macs,
        "cycles": round(layer.in_program),
        "compute_cycles": round(layer.compute_cycles),
        "ddr_bytes": layer.traffic.ddr,
        "on_chip_bytes": layer.traffic.on_chip,
        "waits_for": layer.bound,
    }


def _print_layers(found: Prediction) -> None:
    from rich.console import Console
    from rich.table import Table

    rows = [(name, _row(layer)) for name, layer in found.layers]
    table = Table(box=None, header_style="bold")
    table.add_column("layer", overflow="fold")
    for title in ("k MAC", "cycles", "DDR kB", "on chip kB", "waits for"):
        table.add_column(title, justify="right")
    for name, row in rows:
        numbers = (row["macs"] / 1e3, row["cycles"], row["ddr_bytes"] / 1e3, row["on_chip_bytes"] / 1e3)
        table.add_row(name, *(f"{number:.0f}" for number in numbers), row["waits_for"])
    Console().print(table)

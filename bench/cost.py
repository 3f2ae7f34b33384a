"""``python -m bench.cost``: the cost model against published figures, layer by layer and model by model.

Constants are fitted here too, always without what they are judged on: per-layer tables from each other, whole models
with all models of the same architecture left out. What the product uses (cost.toml) is the fit to everything.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import numpy as np

from bench.cost_fit import (
    Case,
    Floats,
    Parts,
    Whole,
    fit_family,
    fit_host,
    fit_start,
    fit_tables,
    fit_totals,
    parts,
    totals_features,
)
from bench.cost_networks import inception_v1, moved_resnet, public
from bench.cost_rows import PUBLISHED, Row, published, whole_models
from quantforge.compiler.cost_constants import Constants, Totals
from quantforge.compiler.cost_model import Node, keep_on_chip, model_cost
from quantforge.targets.dpu import load_dpu

RESNET, INCEPTION, WHOLE, ALVEO, ALVEO_WHOLE = 0, 2, 4, 7, 8  # places of the tables in the file
# DPUCVDX8H: 45.9 TOPS by the parallelism of its target file at 350 MHz, 7.5 per engine reached (UG1354).
PRACTICAL = 6.1
HEADER = """\
# Constants of the cost model, printed by `python -m bench.cost --toml`. Rates are bytes per cycle and channel.
# Fits are robust least squares of the logarithm of predicted over published time; no constant belongs to a model.
"""
SOURCES = {
    "DPUCZDX8G": "per-layer tables of ResNet-50 (UG1414 figure 37) and Inception-v1 (vai_profiler example), B4096",
    "DPUCVDX8G": "public networks of the model zoo on VCK190; one factor for engines, one (at its bound) for ports",
    "DPUCVDX8H": "UG1354: 7.5 of 10 TOPS per engine reached; the rest is taken from DPUCZDX8G, not measured",
}
HOST_SOURCE = "single-thread figures of public networks in the model zoo, beside the DPU time of the layers"
TOTALS_SOURCE = "single-thread figures of the model zoo, releases 1.0 to 3.5"
SOFTWARE_MS = 0.065  # median of software minus hardware time per job, in the table of Inception-v1
MHZ = 300.0
T = TypeVar("T")


@dataclass(frozen=True)
class Table:
    """A published table of layers: names, measured cycles and MiB moved, beside the layers."""

    title: str
    nodes: tuple[Node, ...]
    cycles: Floats
    mebibytes: Floats
    parts: Parts


def tables() -> tuple[Table, Table]:
    """ResNet-50 (figure 37 of the user guide) and Inception-v1 (example vai_profiler), both on a B4096."""
    return (
        _table("ResNet-50, every layer a job", RESNET, moved_resnet((3, 4, 6, 3)).nodes, SOFTWARE_MS),
        _table("Inception-v1 to block 4f, every layer a job", INCEPTION, inception_v1(7).nodes, 0.0),
    )


def _table(title: str, place: int, nodes: Sequence[Node], software: float) -> Table:
    rows = published()["per_layer"][place]["rows"]
    if len(rows) != len(nodes):
        raise ValueError(f"{title}: {len(rows)} rows for {len(nodes)} layers")
    ms = np.array([row["runtime_ms"] for row in rows]) - software
    moved = np.array([[row[key] or 0.0 for key in ("ld_wb_mb", "ld_fm_mb", "st_fm_mb")] for row in rows]).sum(
        1
    )
    return Table(title, tuple(nodes), ms * MHZ * 1e3, moved, parts(nodes, load_dpu("KV260")))


def errors(predicted: Floats, truth: Floats) -> str:
    """Median, share within a quarter, and error of the sum, as text."""
    off = np.abs(predicted / truth - 1)
    total = predicted.sum() / truth.sum() - 1
    return f"median error {np.median(off):5.1%}, within 25 % {np.mean(off < 0.25):4.0%}, total {total:+.1%}"


def report_layers(table: Table, rates: Constants) -> None:
    """Every layer: measured and predicted milliseconds and megabytes."""
    target = load_dpu("KV260")
    predicted = table.parts.alone(rates)
    print(f"\n{table.title}\n{'layer':<20}{'ms':>8}{'model':>8}{'error':>8}{'MiB':>8}{'model':>8}")
    costs = model_cost(table.nodes, target).layers
    for node, cycles, guess, mib, cost in zip(
        table.nodes, table.cycles, predicted, table.mebibytes, costs, strict=True
    ):
        off = guess / cycles - 1
        print(
            f"{node.name:<20}{cycles / MHZ / 1e3:8.3f}{guess / MHZ / 1e3:8.3f}{off:+8.0%}"
            f"{mib:8.3f}{cost.traffic.ddr / 2**20:8.3f}"
        )
    moved = np.array([cost.traffic.ddr / 2**20 for cost in costs])
    print(f"time:  {errors(predicted, table.cycles)}\nbytes: {errors(moved, table.mebibytes)}")


def report_tables() -> Constants:
    """Both tables with the fit to both, with each other's fit, and the whole graph that neither has seen."""
    first, second = tables()
    both = fit_tables([(t.parts, t.cycles) for t in (first, second)])
    for table, other in ((first, second), (second, first)):
        report_layers(table, both)
        foreign = fit_tables([(other.parts, other.cycles)])
        print(f"fitted to the other table only: {errors(table.parts.alone(foreign), table.cycles)}")
    row = published()["per_layer"][WHOLE]["rows"][0]
    target = load_dpu("KV260")
    cost = model_cost(keep_on_chip(first.nodes, target), target, constants=both)
    moved = [
        sum(getattr(layer.traffic, key) for layer in cost.layers)
        for key in ("weights", "load", "join", "save")
    ]
    print(
        f"\nResNet-50, whole graph (not fitted): {row['runtime_ms']:.2f} ms, model {cost.latency_ms:.2f} "
        f"({cost.latency_ms / row['runtime_ms'] - 1:+.1%}); MiB of weights, loaded, saved: "
        f"{row['ld_wb_mb']}, {row['ld_fm_mb']}, {row['st_fm_mb']}, model {moved[0] / 2**20:.3f}, "
        f"{(moved[1] + moved[2]) / 2**20:.3f}, {moved[3] / 2**20:.3f}"
    )
    print("constants:", both)
    return both


def leave_out(
    items: Sequence[T], group: Callable[[T], str], fit: Callable[[list[T]], Callable[[list[T]], Floats]]
) -> Floats:
    """Predictions for every item by a fit that has not seen its group."""
    found = np.empty(len(items))
    for name in sorted({group(item) for item in items}):
        inside = [index for index, item in enumerate(items) if group(item) == name]
        predict = fit([item for item in items if group(item) != name])
        found[inside] = predict([items[index] for index in inside])
    return found


def by_family(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of each family of DPUs."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.target.family, []).append(row)
    return found


def cases(rows: Iterable[Row]) -> list[Case]:
    """The rows whose layers are known."""
    found = []
    for row in rows:
        nodes = public(row.name, row.gops)
        if nodes is not None:
            found.append(Case(row, parts(keep_on_chip(nodes, row.target), row.target)))
    return found


def report_whole(rates: Constants) -> None:
    """Whole models of every family, by layers where they are known, by totals elsewhere."""
    best: dict[int, float] = {}
    rows = whole_models()
    for family, members in by_family(rows).items():
        print(f"\n{family}: {len(members)} rows, {len({r.name for r in members})} models")
        guess = leave_out(members, lambda r: r.architecture, _totals)
        print(f"  operations, input size and task: {_rows_and_models(members, guess)}")
        best.update({id(row): value for row, value in zip(members, guess, strict=True)})
        known = cases(members)
        if len({case.row.architecture for case in known}) < 4:
            continue
        fit = fit_host if family == "DPUCZDX8G" else fit_family
        layered = leave_out(known, lambda c: c.row.architecture, _layered(fit, rates))
        whole = fit(known, rates)
        print(f"  layers: {_rows_and_models([c.row for c in known], layered)}; {whole}")
        for scope in ("dpu", "e2e"):
            some = [index for index, case in enumerate(known) if case.row.scope == scope]
            if some:
                print(
                    f"    scope {scope}: {errors(layered[some], np.array([known[i].row.ms for i in some]))}"
                )
        best.update({id(case.row): value for case, value in zip(known, layered, strict=True)})
    print(
        f"\nall rows, layers where known: {_rows_and_models(rows, np.array([best[id(row)] for row in rows]))}"
    )


def _totals(seen: list[Row]) -> Callable[[list[Row]], Floats]:
    constants = fit_totals(seen)
    return lambda rows: np.asarray(totals_features(rows) @ constants)


def _layered(
    fit: Callable[[Sequence[Case], Constants], Whole], rates: Constants
) -> Callable[[list[Case]], Callable[[list[Case]], Floats]]:
    """A fit in the form that `leave_out` takes."""

    def fitted(seen: list[Case]) -> Callable[[list[Case]], Floats]:
        whole = fit(seen, rates)
        return lambda some: np.array([whole.ms(case) for case in some])

    return fitted


def _rows_and_models(rows: Sequence[Row], guess: Floats) -> str:
    truth = np.array([row.ms for row in rows])
    off = np.abs(guess / truth - 1)
    names = [row.name for row in rows]
    models = [
        np.mean([o for o, n in zip(off, names, strict=True) if n == name]) for name in dict.fromkeys(names)
    ]
    return (
        f"median error {np.median(off):.1%} of {len(rows)} rows, "
        f"{np.median(models):.1%} of {len(models)} models"
    )


def report_alveo(rates: Constants) -> None:
    """ResNet-50 on DPUCAHX8H (batch of three in three engines) with the constants of DPUCZDX8G.

    The table's times are those of a software timer, so that the start of a job is fitted to it; the whole
    graph is not.
    """
    rows = {row["subgraph"]: row["min_ms"] for row in published()["per_layer"][ALVEO]["rows"]}
    nodes, target = moved_resnet((3, 4, 6, 3)).nodes, load_dpu("U50")
    shared = [node for node in nodes if node.name in rows]
    cycles = np.array([rows[node.name] for node in shared]) * MHZ * 1e3
    table = parts(shared, target)
    fitted = fit_start(table, cycles, rates)
    print(
        f"\nResNet-50 on DPUCAHX8H with the constants of DPUCZDX8G and {fitted.fixed / MHZ / 1e3:.3f} ms per job, "
        f"{len(shared)} layers: {errors(table.alone(fitted), cycles)}"
    )
    whole = model_cost(keep_on_chip(nodes, target), target, constants=rates).latency_ms
    truth = min(row["min_ms"] for row in published()["per_layer"][ALVEO_WHOLE]["rows"])
    print(f"whole graph (not fitted): {truth:.2f} ms, model {whole:.2f} ({whole / truth - 1:+.1%})")


def toml(rates: Constants) -> str:
    """The constants as the product's file."""
    lines = [HEADER]
    families = by_family(whole_models())
    wholes = {"DPUCZDX8G": fit_host(cases(families["DPUCZDX8G"]), rates)}
    wholes["DPUCVDX8G"] = fit_family(cases(families["DPUCVDX8G"]), rates)
    found = {"DPUCZDX8G": rates, "DPUCVDX8G": wholes["DPUCVDX8G"].rates}
    found["DPUCVDX8H"] = replace(rates, conv=PRACTICAL)
    for family, constants in found.items():
        lines += [f"[layers.{family}]", *_lines(replace(constants, source=SOURCES[family]))]
    for family, whole in wholes.items():
        row = {"call": whole.call, "per_megapixel": whole.per_megapixel, "source": HOST_SOURCE}
        lines += [f"[host.{family}]", *(f"{key} = {_plain(value)}" for key, value in row.items()), ""]
    for family, rows in families.items():
        lines += [f"[totals.{family}]", *_lines(Totals(*map(float, fit_totals(rows)), source=TOTALS_SOURCE))]
    return "\n".join(lines)


def _lines(constants: Constants | Totals) -> list[str]:
    return [*(f"{key} = {_plain(value)}" for key, value in asdict(constants).items()), ""]


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)


def main() -> int:
    """Print everything; 1 when the published figures are not there."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__)
    parser.add_argument("--toml", action="store_true", help="print the constants as the product's cost.toml")
    options = parser.parse_args()
    if not PUBLISHED.exists():
        print(f"no published figures at {PUBLISHED}", file=sys.stderr)
        return 1
    if options.toml:
        with contextlib.redirect_stdout(io.StringIO()):
            rates = report_tables()
        print(toml(rates))
        return 0
    fitted = report_tables()
    report_alveo(fitted)
    report_whole(fitted)
    return 0


if __name__ == "__main__":
    sys.exit(main())

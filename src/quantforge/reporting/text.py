"""The report in the terminal: the summary first, then what to do, then the layers that cost most."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

from quantforge.quantization.report import LayerReport, OutputReport, QuantizationReport, relative_noise
from quantforge.reporting import wording

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

PLAIN_WIDTH = 100
WORST_LAYERS = 10
SHOWN_REASONS = 8
GOOD_DB, FAIR_DB = 20.0, 10.0  # from here up green, from here up yellow, below red


def to_text(report: QuantizationReport, width: int = PLAIN_WIDTH, full: bool = False) -> str:
    """The report as plain text without colour, at most `width` characters wide."""
    from rich.console import Console

    buffer = io.StringIO()
    print_report(report, Console(file=buffer, width=width, color_system=None, legacy_windows=False), full)
    return "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().rstrip().splitlines())


def print_report(report: QuantizationReport, console: Console | None = None, full: bool = False) -> None:
    """Print the report; `full` adds every layer and every tensor. Standard output when `console` is None."""
    from rich.console import Console

    console = console or Console(highlight=False)
    parts = [
        _summary(report),
        *_culprits(report),
        *_ladder(report),
        *_layers(report, full),
        *_float_ops(report, full),
    ]
    if full:
        parts += _tensors(report)
    for index, part in enumerate(parts):
        if index:
            console.print()
        console.print(part, highlight=False)


def _summary(report: QuantizationReport) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("model", Text(report.model, style="bold"))
    for label, line in _facts(report):
        grid.add_row(label, Text(line))
    for output in report.outputs:
        grid.add_row("output", Text(output_words(output), style=sqnr_style(output.sqnr_db)))
    return grid


def _facts(report: QuantizationReport) -> Iterable[tuple[str, str]]:
    """The lines of the summary: a label and a text."""
    data, (before, after) = report.data, report.model_bytes
    yield "recipe", report.recipe + (f" for {report.target}" if report.target else "")
    yield "data", wording.calibration(data)
    ratio = f" ({before / after:.2g} times smaller)" if after else ""
    yield "size", f"{wording.size(before)} → {wording.size(after)}{ratio}"
    operations = report.operations
    if total := sum(operations.values()):
        shares = ", ".join(f"{name} {wording.percent(count / total)}" for name, count in operations.items())
        yield "operations", f"{wording.operations(total)} MACs: {shares}"
    if report.timings:
        yield "time", ", ".join(f"{t.stage} {wording.seconds(t.seconds)}" for t in report.timings)
    if report.peak_memory_bytes is not None:
        yield "memory", f"peak {wording.size(report.peak_memory_bytes)}"
    if report.notes or report.notices:
        refused = sum(not note.done for note in report.notes)
        notices = wording.counted(len(report.notices), "notice")
        yield "notes", f"{len(report.notes) - refused} done, {refused} refused, {notices}"


def output_words(output: OutputReport) -> str:
    """One graph output in a line: its SQNR, and answers and accuracy where they apply."""
    words = [f"{output.name}: SQNR {wording.decibels(output.sqnr_db)}"]
    if output.agreement is not None:
        words.append(f"same answer {wording.percent(output.agreement)}")
    if output.float_accuracy is not None and output.quantized_accuracy is not None:
        words.append(
            f"accuracy {wording.percent(output.float_accuracy)} → {wording.percent(output.quantized_accuracy)}"
        )
    if output.samples:
        words.append(wording.counted(output.samples, "sample"))
    return ", ".join(words)


def _culprits(report: QuantizationReport) -> Iterable[RenderableType]:
    """The tensors that lose most, each with why and the recipe lines that help."""
    if not report.culprits:
        return
    from rich.text import Text

    total = sum(culprit.share for culprit in report.culprits)
    makers = wording.counted(len(report.culprits), "tensor")
    table = titled_table(f"where {wording.percent(total)} of the loss comes from: {makers}")
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("tensor, why, remedy", ratio=1, overflow="fold")
    for culprit in report.culprits:
        words = Text(culprit.tensor, style="bold")
        words.append(f"\n{wording.CAUSES[culprit.cause]}: ", style="yellow")
        words.append(culprit.why, style="not bold")
        for line in culprit.remedy.splitlines():
            words.append(f"\n  {line}", style="not bold green")
        table.add_row(wording.percent(culprit.share), words)
    yield table
    yield Text("--apply report.json adds the remedies to the recipe", style="dim")


def _ladder(report: QuantizationReport) -> Iterable[RenderableType]:
    """The rungs, where the recipe was found by climbing."""
    if report.ladder is not None:
        from quantforge.reporting.ladder import ladder_table, verdict

        yield ladder_table(report.ladder)
        yield verdict(report.ladder)


def _layers(report: QuantizationReport, full: bool) -> Iterable[RenderableType]:
    """The layers that add most error, or all in their order."""
    from rich.text import Text

    measured = [layer for layer in report.layers if layer.added_db is not None]
    worst = sorted(measured, key=lambda layer: -relative_noise(layer.added_db))[:WORST_LAYERS]
    shown = (
        list(report.layers) if full else [layer for layer in worst if relative_noise(layer.added_db) > 0.0]
    )
    if not shown:
        return
    table = titled_table("layers" if full else "layers that add most error")
    table.add_column("layer", ratio=1, overflow="fold")
    for title in ("kind", "precision"):
        table.add_column(title, overflow="fold")
    for title in ("MACs", "adds", "accumulated"):
        table.add_column(title, justify="right", no_wrap=True)
    for layer in shown:
        table.add_row(
            Text(layer.name),
            Text(" + ".join((layer.kind, *layer.fused))),
            Text(layer.precision),
            wording.operations(layer.macs) if layer.macs else wording.NOTHING,
            Text(wording.decibels(layer.added_db), style=sqnr_style(layer.added_db)),
            Text(wording.decibels(layer.accumulated_db), style=sqnr_style(layer.accumulated_db)),
        )
    yield table


def _float_ops(report: QuantizationReport, full: bool) -> Iterable[RenderableType]:
    """What stayed float, one row per reason unless `full`."""
    kept = report.float_ops
    if not kept:
        return
    from rich.text import Text

    table = titled_table(f"stayed float: {wording.counted(len(kept), 'operator')}")
    table.add_column("operators", ratio=1, overflow="fold")
    table.add_column("why", ratio=1, overflow="fold")
    table.add_column("code", no_wrap=True)
    by_reason: dict[tuple[str, str], list[LayerReport]] = {}
    for layer in kept:
        by_reason.setdefault((layer.float_reason or "", layer.float_code or ""), []).append(layer)
    reasons = list(by_reason.items())
    for (reason, code), layers in reasons if full else reasons[:SHOWN_REASONS]:
        names = ", ".join(layer.name for layer in (layers if full else layers[:3]))
        more = "" if full or len(layers) <= 3 else f" and {len(layers) - 3} more"
        table.add_row(Text(names + more), Text(reason), Text(code))
    yield table
    if not full and len(reasons) > SHOWN_REASONS:
        yield Text(f"and {len(reasons) - SHOWN_REASONS} more reasons", style="dim")


def _tensors(report: QuantizationReport) -> Iterable[RenderableType]:
    """Every tensor."""
    from rich.text import Text

    table = titled_table("tensors")
    table.add_column("tensor", ratio=1, overflow="fold")
    for title in ("kind", "format", "scale"):
        table.add_column(title, overflow="fold")
    for title in ("min", "max", "clipped", "SQNR"):
        table.add_column(title, justify="right", no_wrap=True)
    for tensor in report.tensors:
        table.add_row(
            Text(tensor.name),
            tensor.kind.value,
            str(tensor.spec.format),
            wording.scale(tensor.spec),
            wording.real(tensor.lo),
            wording.real(tensor.hi),
            wording.percent(tensor.saturation),
            Text(wording.decibels(tensor.sqnr_db), style=sqnr_style(tensor.sqnr_db)),
        )
    yield table


def titled_table(title: str) -> Table:
    """An empty table in the style of the report."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        expand=True,
        padding=(0, 1, 0, 0),
        header_style="dim",
    )


def sqnr_style(sqnr_db: float | None) -> str:
    """The colour of an SQNR."""
    if sqnr_db is None:
        return "dim"
    return "green" if sqnr_db >= GOOD_DB else "yellow" if sqnr_db >= FAIR_DB else "red"

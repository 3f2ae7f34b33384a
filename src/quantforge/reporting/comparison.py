"""A comparison in the terminal: the outputs, then where the error starts, then the values that differ most."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from quantforge.quantization.compare import Comparison, ValueComparison
from quantforge.reporting import wording
from quantforge.reporting.text import PLAIN_WIDTH, output_words, sqnr_style, titled_table

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WORST_VALUES = 10


def comparison_text(comparison: Comparison, width: int = PLAIN_WIDTH, full: bool = False) -> str:
    """The comparison as plain text without colour, at most `width` characters wide."""
    from rich.console import Console

    buffer = io.StringIO()
    console = Console(file=buffer, width=width, color_system=None, legacy_windows=False)
    print_comparison(comparison, console, full)
    return "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().rstrip().splitlines())


def print_comparison(comparison: Comparison, console: Console | None = None, full: bool = False) -> None:
    """Print the comparison; `full` lists every value in its order. Standard output when `console` is None."""
    from rich.console import Console

    console = console or Console(highlight=False)
    console.print(_summary(comparison), highlight=False)
    for part in _values(comparison, full):
        console.print()
        console.print(part, highlight=False)


def _summary(comparison: Comparison) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("float", Text(comparison.float_model, style="bold"))
    grid.add_row("quantized", Text(comparison.quantized_model, style="bold"))
    grid.add_row("data", Text(wording.calibration(comparison.data)))
    for output in comparison.outputs:
        grid.add_row("output", Text(output_words(output), style=sqnr_style(output.sqnr_db)))
    grid.add_row("first drop", Text(_drop(comparison)))
    for notice in comparison.notices:
        grid.add_row("notice", Text(str(notice)))
    return grid


def _drop(comparison: Comparison) -> str:
    found = None if comparison.first_drop is None else comparison.value(comparison.first_drop)
    if found is None:
        return "none: the error grows evenly"
    return f"{found.name}, {wording.decibels(found.fair_db)}"


def _values(comparison: Comparison, full: bool) -> Iterable[RenderableType]:
    from rich.text import Text

    outputs = {output.name for output in comparison.outputs}
    inner = [value for value in comparison.values if value.name not in outputs]
    shown = list(comparison.values) if full else sorted(inner, key=_badness)[:WORST_VALUES]
    if not shown:
        return
    table = titled_table("values" if full else "values that differ most")
    table.add_column("value", ratio=1, overflow="fold", min_width=24)
    for title in ("SQNR", "largest error", "cosine"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("remarks", overflow="fold")
    for value in shown:
        table.add_row(
            Text(value.name),
            Text(wording.decibels(value.fair_db), style=sqnr_style(value.fair_db)),
            wording.real(value.max_error),
            wording.NOTHING if value.cosine is None else f"{value.cosine:.5f}",
            Text(", ".join(_remarks(value))),
        )
    yield table


def _badness(value: ValueComparison) -> float:
    return math.inf if value.fair_db is None else value.fair_db


def _remarks(value: ValueComparison) -> Iterable[str]:
    if value.rescaled_db is not None:
        yield f"equalized, raw {wording.decibels(value.sqnr_db)}"
    if value.not_finite:
        yield f"{wording.counted(value.not_finite, 'number')} not finite"
    if value.reshaped:
        yield f"shapes differ in {wording.counted(value.reshaped, 'batch', 'batches')}"

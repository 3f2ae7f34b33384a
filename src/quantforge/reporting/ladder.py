"""The ladder and the ranking of layers in the terminal and as JSON."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from quantforge.frontends.sensitivity import Sensitivity
from quantforge.quantization.goal import Figures
from quantforge.quantization.ladder_report import LadderReport, RungReport
from quantforge.reporting import wording
from quantforge.reporting.text import PLAIN_WIDTH, sqnr_style, titled_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WORST_LAYERS = 20


def ladder_text(ladder: LadderReport, width: int = PLAIN_WIDTH) -> str:
    """The ladder as plain text without colour."""
    return _plain(ladder_table(ladder), width) + verdict(ladder) + "\n"


def sensitivity_text(found: Sensitivity, width: int = PLAIN_WIDTH, full: bool = False) -> str:
    """The ranking as plain text without colour."""
    return _plain(sensitivity_table(found, full), width)


def print_sensitivity(found: Sensitivity, console: Console | None = None, full: bool = False) -> None:
    """Print the ranking. Standard output when `console` is None."""
    from rich.console import Console

    (console or Console(highlight=False)).print(sensitivity_table(found, full), highlight=False)


def ladder_table(ladder: LadderReport) -> Table:
    """All rungs in their order."""
    from rich.text import Text

    table = titled_table(f"ladder: {ladder.goal}, judged on {ladder.judged_on}")
    table.add_column("rung", no_wrap=True)
    for title in ("SQNR", "same answer", "accuracy", "lost", "time"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("remark", ratio=1, overflow="fold")
    for rung in ladder.rungs:
        figures = rung.figures
        cells = [wording.NOTHING] * 5 if figures is None else _cells(figures, rung.seconds)
        style = "bold" if rung.name == ladder.chosen else ""
        db = None if figures is None else figures.sqnr_db
        remark = Text(_remark(rung, ladder))
        table.add_row(Text(rung.name, style=style), Text(cells[0], style=sqnr_style(db)), *cells[1:], remark)
    return table


def rung_line(rung: RungReport) -> str:
    """One rung in a line, for the progress of a climb."""
    if rung.figures is None:
        return f"{rung.name}: left out, {rung.remark}"
    db, same, accuracy, _, seconds = _cells(rung.figures, rung.seconds)
    words = [f"SQNR {db}"]
    if rung.figures.agreement is not None:
        words.append(f"same answer {same}")
    if rung.figures.quantized_accuracy is not None:
        words.append(f"accuracy {accuracy}")
    words.append("from an earlier run" if rung.resumed else seconds)
    return f"{rung.name}: {', '.join(words)}"


def verdict(ladder: LadderReport) -> str:
    """Whether the goal was met, and by which rung."""
    if ladder.met:
        return f"goal met by {ladder.chosen}"
    return f"goal NOT met (Q0528): the nearest is {ladder.chosen}"


def sensitivity_table(found: Sensitivity, full: bool = False) -> Table:
    """The layers, the worst first."""
    from rich.text import Text

    rows = found.layers if full else found.layers[:WORST_LAYERS]
    title = f"layers by what each alone costs at the outputs ({len(rows)} of {len(found.layers)})"
    table = titled_table(title)
    table.add_column("layer", ratio=1, overflow="fold")
    table.add_column("kind", overflow="fold")
    for title in ("share", "outputs", "own output"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        words = wording.decibels(row.output_db)
        table.add_row(
            Text(row.layer.name),
            row.layer.kind,
            wording.percent(row.share),
            Text(words if row.confirmed else f"about {words}", style=sqnr_style(row.output_db)),
            Text(wording.decibels(row.added_db), style=sqnr_style(row.added_db)),
        )
    return table


def _cells(figures: Figures, seconds: float) -> list[str]:
    same, accuracy, lost = figures.agreement, figures.quantized_accuracy, figures.drop
    return [
        wording.decibels(figures.sqnr_db),
        wording.NOTHING if same is None else wording.percent(same),
        wording.NOTHING if accuracy is None else wording.percent(accuracy),
        wording.NOTHING if lost is None else f"{lost:.2f}",
        wording.seconds(seconds),
    ]


def _remark(rung: RungReport, ladder: LadderReport) -> str:
    words = [rung.remark] if rung.remark else []
    if rung.figures is not None and not rung.kept:
        words.append("left out of what follows")
    if rung.name == ladder.chosen:
        words.append("meets the goal" if rung.met else "nearest to the goal")
    return "; ".join(words)


def _plain(table: Table, width: int) -> str:
    from rich.console import Console

    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None, legacy_windows=False).print(table, highlight=False)
    return "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().rstrip().splitlines())

"""Two stages compared, for the terminal and as JSON: the first tensor that differs, then all that do."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from quantforge.debugging.difference import ElementDifference
from quantforge.debugging.explain import NOTHING, Explanation
from quantforge.debugging.walk import StageComparison, TensorComparison
from quantforge.reporting.text import PLAIN_WIDTH

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SHOWN = 20  # tensors listed unless all are asked for


def stages_text(comparison: StageComparison, full: bool = False, width: int = PLAIN_WIDTH) -> str:
    """The comparison as plain text, at most `width` characters wide."""
    from rich.console import Console

    buffer = io.StringIO()
    print_stages(comparison, Console(file=buffer, width=width, color_system=None, legacy_windows=False), full)
    return "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().rstrip().splitlines())


def print_stages(comparison: StageComparison, console: Console | None = None, full: bool = False) -> None:
    """Print it; `full` lists every tensor, also those that are equal. Standard output when `console` is None."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console(highlight=False)
    for line in _summary(comparison):
        console.print(Text(line), soft_wrap=True)
    rows = [tensor for tensor in comparison.tensors if full or tensor.different]
    if rows:
        console.print()
        console.print(_table(rows if full else rows[:SHOWN]), highlight=False)
    if not full and len(rows) > SHOWN:
        console.print(f"and {len(rows) - SHOWN} more; --full lists all")


def stages_json(comparison: StageComparison) -> str:
    """All of it as JSON; numbers that JSON does not have are null."""
    record = dataclasses.asdict(comparison)
    record["equal"], record["explained"] = comparison.equal, comparison.explained
    return json.dumps(_finite(record), indent=1) + "\n"


def element_words(found: ElementDifference, names: tuple[str, str]) -> str:
    """One element that differs, in words.

    >>> element_words(ElementDifference((0, 1), 3, 4, 1.0, 3.5), ("a", "b"))
    'element [0, 1]: 3 in a, 4 in b, 1 step apart; exactly 3.5'
    """
    place = ", ".join(map(str, found.index))
    apart = ""
    if found.steps is not None:
        size = abs(found.steps)
        apart = f", {size:.6g} step{'s' if size != 1 else ''} apart"
    exact = "" if found.exact is None else f"; exactly {found.exact:.9g}"
    return (
        f"element [{place}]: {found.first:.9g} in {names[0]}, {found.second:.9g} in {names[1]}{apart}{exact}"
    )


def _summary(comparison: StageComparison) -> Iterator[str]:
    names = (comparison.first, comparison.second)
    yield f"{names[0]} and {names[1]}: {comparison.samples} samples, {len(comparison.tensors)} tensors"
    if comparison.unmatched:
        listed = ", ".join(comparison.unmatched[:5]) + (", ..." if len(comparison.unmatched) > 5 else "")
        yield f"{len(comparison.unmatched)} tensors only in {names[0]}: {listed}"
    culprit = comparison.culprit
    if culprit is None or culprit.first is None:
        yield "equal: no element differs"
        return
    yield f"first tensor that differs: {culprit.name}"
    yield f"  {culprit.tensors[0]} in {names[0]}, {culprit.tensors[1]} in {names[1]}"
    yield f"  {element_words(culprit.first, names)}"
    yield f"  {culprit.different} of {culprit.elements} elements differ, {_largest(culprit)}"
    if any(tensor.alone is not None for tensor in comparison.tensors):
        yield from _alone(comparison)


def _alone(comparison: StageComparison) -> Iterator[str]:
    """What operators do on equal inputs."""
    total = sum((tensor.alone or NOTHING for tensor in comparison.tensors), NOTHING)
    makers = sum(1 for tensor in comparison.tensors if (tensor.alone or NOTHING).different)
    names = (comparison.first, comparison.second)
    yield f"each operator on the numbers of {names[0]}: {total.different} elements differ, in {makers} tensors"
    yield f"  {total.ties} lie on a tie, which the two round to different sides"
    yield f"  {total.floats} are sums that do not fit the 24 bits of a float32"
    yield f"  {total.means} are means, which the hardware makes with a factor instead of a division"
    yield f"  {total.unexplained} are unexplained"
    for tensor in comparison.tensors:
        if tensor.alone is not None and tensor.alone.first is not None:
            yield f"  first of those: {tensor.name}, {element_words(tensor.alone.first, names)}"
            return
    for tensor in comparison.tensors:
        if tensor.alone is not None and tensor.alone.example is not None:
            yield f"  such as: {tensor.name}, {element_words(tensor.alone.example, names)}"
            return


def _table(rows: Iterable[TensorComparison]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("tensor", overflow="fold")
    for title in ("elements", "differ", "at most", "alone", "ties", "float32", "means", "other"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        cells = (str(row.elements), str(row.different), _largest(row).removeprefix("by at most "))
        table.add_row(row.name, *cells, *_counts(row.alone))
    return table


def _counts(alone: Explanation | None) -> tuple[str, ...]:
    if alone is None:
        return ("-",) * 5
    return tuple(map(str, (alone.different, alone.ties, alone.floats, alone.means, alone.unexplained)))


def _largest(tensor: TensorComparison) -> str:
    on_grid = tensor.first is not None and tensor.first.steps is not None
    unit = "" if not on_grid else " step" if tensor.largest == 1 else " steps"
    return f"by at most {tensor.largest:.6g}{unit}" if tensor.different else ""


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value

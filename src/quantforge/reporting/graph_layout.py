"""Where the boxes of the graph drawing go: a small layered layout, top to bottom.

What: Each node gets the row after the last of its sources. An edge that spans several rows gets a slot in each row
between, so that lines pass beside boxes and not through them. Rows are ordered by the mean place of their
neighbours, in sweeps down and up, then shifted sideways towards them as far as the spacing allows.
Why: a chain with skip connections, which is what such networks are, comes out as a straight spine with side lanes.
Cost: linear in slots times sweeps. A thousand ops take about a second.
When it hurts: very wide graphs (dense connections) get wide rows and many crossings.
Reference: Sugiyama, Tagawa and Toda (1981), in its simplest form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

ORDER_SWEEPS = 6
SHIFT_SWEEPS = 8


@dataclass(frozen=True)
class Layout:
    """Positions in units of one box: `places` by node (column, row), `routes` by edge, the points between."""

    places: Mapping[str, tuple[float, int]]
    routes: Mapping[tuple[str, str], tuple[tuple[float, int], ...]]
    columns: float
    rows: int


@dataclass(eq=False)
class _Slot:
    """A box, or the place where an edge crosses a row; `width` is the room it takes."""

    row: int
    width: float
    above: list[_Slot]
    below: list[_Slot]
    x: float = 0.0


def lay_out(nodes: Sequence[str], sources: Mapping[str, Sequence[str]], lane: float = 0.25) -> Layout:
    """Place `nodes`, given in topological order, with the `sources` of each; `lane` is the width of a passing edge.

    >>> lay_out(["a", "b", "c"], {"b": ["a"], "c": ["a", "b"]}).places["c"][1]
    2
    """
    row_of: dict[str, int] = {}
    slots: dict[str, _Slot] = {}
    for name in nodes:
        above = [row_of[source] for source in sources.get(name, ()) if source in row_of]
        row_of[name] = 1 + max(above, default=-1)
        slots[name] = _Slot(row_of[name], 1.0, [], [])
    rows: list[list[_Slot]] = [[] for _ in range(1 + max(row_of.values(), default=-1))]
    for slot in slots.values():
        rows[slot.row].append(slot)
    lanes: dict[tuple[str, str], list[_Slot]] = {}
    for name in nodes:
        for source in dict.fromkeys(sources.get(name, ())):
            if source in slots and source != name:
                lanes[source, name] = _thread(slots[source], slots[name], rows, lane)
    for sweep in range(ORDER_SWEEPS):
        _order(rows, down=sweep % 2 == 0)
    for sweep in range(SHIFT_SWEEPS):
        _shift(rows, down=sweep % 2 == 0)
    left = min((slot.x for row in rows for slot in row), default=0.0)
    right = max((slot.x + slot.width for row in rows for slot in row), default=0.0)
    places = {name: (slot.x - left, slot.row) for name, slot in slots.items()}
    routes = {
        edge: tuple((slot.x - left + slot.width / 2, slot.row) for slot in passed)
        for edge, passed in lanes.items()
    }
    return Layout(places, routes, right - left, len(rows))


def _thread(source: _Slot, target: _Slot, rows: list[list[_Slot]], lane: float) -> list[_Slot]:
    """Link two boxes through new slots in the rows between them."""
    passed = [_Slot(row, lane, [], []) for row in range(source.row + 1, target.row)]
    chain = [source, *passed, target]
    for upper, lower in pairwise(chain):
        upper.below.append(lower)
        lower.above.append(upper)
    for slot in passed:
        rows[slot.row].append(slot)
    return passed


def _order(rows: list[list[_Slot]], down: bool) -> None:
    """Sort every row by the mean middle of its neighbours and put its slots side by side."""
    for row in rows if down else reversed(rows):
        keyed = []
        for index, slot in enumerate(row):
            near = slot.above if down else slot.below
            mean = sum(_middle(n) for n in near) / len(near) if near else _middle(slot)
            keyed.append((mean, index, slot))
        row[:] = [slot for _, _, slot in sorted(keyed, key=lambda item: item[:2])]
        x = -sum(slot.width for slot in row) / 2
        for slot in row:
            slot.x = x
            x += slot.width


def _shift(rows: list[list[_Slot]], down: bool) -> None:
    """Move slots sideways to the mean of their neighbours, of those of their own width where there are any."""
    for row in rows if down else reversed(rows):
        wanted = []
        for slot in row:
            near = slot.above if down else slot.below
            near = near or slot.below or slot.above
            straight = [n for n in near if n.width == slot.width] or near
            wanted.append(sum(map(_middle, straight)) / len(straight) - slot.width / 2 if near else slot.x)
        for slot, x in zip(row, wanted, strict=True):
            slot.x = x
        _separate(row)


def _separate(row: list[_Slot]) -> None:
    """Push overlapping slots apart evenly around the middle of the widest slot, which stays where it is."""
    if not row:
        return
    anchor = max(range(len(row)), key=lambda i: (row[i].width, -abs(i - len(row) // 2)))
    for i in range(anchor + 1, len(row)):
        row[i].x = max(row[i].x, row[i - 1].x + row[i - 1].width)
    for i in range(anchor - 1, -1, -1):
        row[i].x = min(row[i].x, row[i + 1].x - row[i].width)


def _middle(slot: _Slot) -> float:
    return slot.x + slot.width / 2

"""Progress of long work: rate, time left and peak memory on a terminal, silence elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Progress:
    """How far some work has come.

    Attributes:
        what: The work, such as "calibrating".
        done: Items finished.
        total: Items in all, None when unknown.
        elapsed_s: Seconds since the start.
        peak_bytes: Largest memory the process has had so far.
    """

    what: str
    done: int
    total: int | None
    elapsed_s: float
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Items per second so far."""
        return self.done / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds left at this rate, None when unknown."""
        if self.total is None or not self.done:
            return None
        return max(self.total - self.done, 0) / self.rate if self.rate else None


Listener = Callable[[Progress], None]


def track(
    items: Iterable[Item], what: str, total: int | None = None, listener: Listener | None = None
) -> Iterator[Item]:
    """Yield `items` and show how far they have come.

    A progress line with rate, time left and peak memory appears on stderr when that is a terminal; otherwise nothing
    is printed. A `listener` is called instead, after every item, wherever stderr goes.

    >>> seen = []
    >>> list(track("ab", "spelling", listener=seen.append))
    ['a', 'b']
    >>> [(state.what, state.done, state.total) for state in seen]
    [('spelling', 1, 2), ('spelling', 2, 2)]
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if listener is not None:
        return _reported(items, what, total, listener)
    return _drawn(items, what, total) if sys.stderr.isatty() else iter(items)


def peak_memory_bytes() -> int:
    """The largest resident memory this process has had; 0 where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _reported(items: Iterable[Item], what: str, total: int | None, listener: Listener) -> Iterator[Item]:
    start = time.perf_counter()
    for done, item in enumerate(items, 1):
        yield item
        listener(Progress(what, done, total, time.perf_counter() - start, peak_memory_bytes()))


def _drawn(items: Iterable[Item], what: str, total: int | None) -> Iterator[Item]:
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[memory]}"),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task(what, total=total, rate="", memory="")
        for state, item in _states(items, what, total):
            yield item
            memory = f"peak {state.peak_bytes / 2**20:.0f} MiB" if state.peak_bytes else ""
            display.update(task, completed=state.done, rate=f"{state.rate:.1f}/s", memory=memory)


def _states(items: Iterable[Item], what: str, total: int | None) -> Iterator[tuple[Progress, Item]]:
    start = time.perf_counter()
    for done, item in enumerate(items, 1):
        yield Progress(what, done, total, time.perf_counter() - start, peak_memory_bytes()), item

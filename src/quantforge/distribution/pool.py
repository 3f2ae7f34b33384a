"""Where independent pieces of work run. Every pool gives the same results in the same order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Pool(Protocol):
    """Runs one function on many items.

    What crosses to another process is pickled: the function has to be one of a module, and `shared` is sent once for
    all items. A worker that is killed loses nothing: its item is run again.
    """

    @property
    def width(self) -> int:
        """How many items run at the same time."""

    @property
    def in_process(self) -> bool:
        """Whether the work is done in this process, so that its results cost nothing to hand over."""

    def map(
        self, function: Callable[[Shared, Item], Answer], shared: Shared, items: Sequence[Item]
    ) -> list[Answer]:
        """``[function(shared, item) for item in items]``; an error of the function is raised here."""


class LocalPool:
    """Does one item after another in this process.

    >>> LocalPool().map(pow, 2, [1, 2, 3])
    [2, 4, 8]
    """

    width = 1
    in_process = True

    def map(
        self, function: Callable[[Shared, Item], Answer], shared: Shared, items: Sequence[Item]
    ) -> list[Answer]:
        """See `Pool.map`."""
        return [function(shared, item) for item in items]

"""What a pass returns: the new graph, what it changed, and in words what it did and refused."""

from __future__ import annotations

from dataclasses import dataclass

from quantforge.graph import Graph


@dataclass(frozen=True)
class Note:
    """One remark of a pass on one op: `done` tells a change from a refusal, `text` says what or why not."""

    made_by: str
    op: str
    done: bool
    text: str

    def __str__(self) -> str:
        return f"{self.made_by}: {self.op}: {'' if self.done else 'not done: '}{self.text}"


@dataclass(frozen=True)
class PassResult:
    """The graph after a pass, the names of the ops it changed or removed, and its notes."""

    graph: Graph
    changed: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()

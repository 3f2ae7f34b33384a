"""Passes one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from quantforge.graph import Graph
from quantforge.passes.result import Note, PassResult


def in_turn(graph: Graph, passes: Iterable[Callable[[Graph], PassResult]]) -> PassResult:
    """Run `passes` in their order; the result collects what all of them changed and noted."""
    changed: dict[str, None] = {}
    notes: list[Note] = []
    for run in passes:
        result = run(graph)
        graph = result.graph
        changed.update(dict.fromkeys(result.changed))
        notes.extend(result.notes)
    return PassResult(graph, tuple(changed), tuple(notes))

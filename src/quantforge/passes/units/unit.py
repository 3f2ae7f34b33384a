"""A unit: operators that together compute one function, and are quantized as one operator.

Nothing is stored between them, so that nothing is rounded there. The graph keeps its operators, and with them the
names of the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from quantforge.graph import Graph
from quantforge.passes.result import Note


@dataclass(frozen=True)
class Unit:
    """Operators that are one.

    Attributes:
        kind: The kind of operator it amounts to, by which recipes speak of it.
        made_by: The pass that recognised it.
        ops: Names, in graph order; the last one makes `output`.
        output: What it computes.
        inner: Values between its operators, which nothing else reads.
        bare: Masks and constants that it reads and that carry no spec for its sake.
    """

    kind: str
    made_by: str
    ops: tuple[str, ...]
    output: str
    inner: frozenset[str] = frozenset()
    bare: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Units:
    """What was recognised, and for everything that nearly was, why not."""

    found: tuple[Unit, ...] = ()
    notes: tuple[Note, ...] = field(default=())


def unit_of(
    graph: Graph, kind: str, made_by: str, ops: Iterable[str], output: str, data: Iterable[str]
) -> Unit | Note:
    """The unit of `ops`, or the note that says who else reads a value between them.

    Args:
        graph: Where they are.
        kind: See `Unit`.
        made_by: See `Unit`.
        ops: Names of the operators.
        output: What they compute.
        data: Inputs that may carry a spec; all others are bare.
    """
    chosen = set(ops)
    names = tuple(op.name for op in graph.ops if op.name in chosen)
    made = {value for name in names for value in graph.op(name).outputs}
    for value in sorted(made - {output}):
        strangers = [reader.name for reader in graph.consumers(value) if reader.name not in chosen]
        if strangers or value in graph.outputs:
            who = f"{strangers[0]} reads" if strangers else "the caller gets"
            return Note(made_by, names[-1], False, f"{who} {value}, which a {kind} keeps to itself")
    read = {value for name in names for value in graph.op(name).inputs if value}
    return Unit(kind, made_by, names, output, frozenset(made - {output}), frozenset(read - made - set(data)))

"""Give every weighted op a bias of its own.

The scale of a bias follows from the input and the weights of its op, so two ops cannot share the stored integers
of one bias even when they share its real values. Weights are shared as they are: their scale is their own.
"""

from __future__ import annotations

from dataclasses import replace

from quantforge.graph import Graph
from quantforge.ops.channels import WEIGHTED
from quantforge.passes.result import Note, PassResult

NAME = "separate-biases"


def separate_biases(graph: Graph) -> PassResult:
    """Changed: the ops that now read a copy."""
    graph = graph.copy()
    notes = []
    taken: set[str] = set()
    for op in graph.ops:
        if op.kind not in WEIGHTED or graph.const(op, 2) is None:
            continue
        name = op.inputs[2]
        readers = graph.consumers(name)
        if name in taken or any(reader.kind not in WEIGHTED for reader in readers):
            copy = graph.fresh_name(f"{name}.{op.name}")
            graph.set_value(replace(graph.value(name), name=copy))
            graph.replace_op(op.changed(NAME, inputs=(*op.inputs[:2], copy, *op.inputs[3:])))
            notes.append(Note(NAME, op.name, True, f"its bias {name} is shared, so it reads a copy"))
        taken.add(name)
    return PassResult(graph, tuple(note.op for note in notes), tuple(notes))

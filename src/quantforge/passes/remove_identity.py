"""Remove ops that do nothing at inference.

identity(x) = x,  dropout(x) = x,  pad with no padding = x.

An op whose output is a graph output stays when its input is a graph input or another graph output: the name
of a graph output must survive, so its producer takes the name over instead.
"""

from __future__ import annotations

from dataclasses import replace

from quantforge.graph import Graph, Op
from quantforge.passes.result import Note, PassResult

NAME = "remove-identity"


def remove_identities(graph: Graph) -> PassResult:
    """Changed: the ops that were removed. Values keep their names, except those that vanish."""
    graph = graph.copy()
    notes: list[Note] = []
    for name in [op.name for op in graph.ops if _does_nothing(op)]:
        op = graph.op(name)
        source, result = op.inputs[0], op.outputs[0]
        if result in graph.outputs:
            reason = _take_over_output(graph, op)
            if reason is not None:
                notes.append(Note(NAME, op.name, False, reason))
                continue
        else:
            graph.redirect(result, source)
            graph.remove_op(op.name)
        notes.append(Note(NAME, op.name, True, f"{op.kind} removed"))
    graph.prune()
    return PassResult(graph, tuple(note.op for note in notes if note.done), tuple(notes))


def _does_nothing(op: Op) -> bool:
    if len(op.outputs) > 1 and any(op.outputs[1:]):
        return False
    if op.kind in ("identity", "dropout"):
        return True
    pads = op.attrs.get("pads", ())
    return op.kind == "pad" and isinstance(pads, tuple) and not any(pads)


def _take_over_output(graph: Graph, op: Op) -> str | None:
    """Let the producer of op's input compute the graph output itself; returns why not, or None when done."""
    source, result = op.inputs[0], op.outputs[0]
    producer = graph.producer(source)
    if producer is None:
        return f"it copies the graph input {source} to the graph output {result}"
    if source in graph.outputs:
        return f"its input {source} is a graph output too"
    graph.remove_op(op.name)
    outputs = tuple(result if name == source else name for name in producer.outputs)
    graph.replace_op(replace(producer, outputs=outputs))
    graph.redirect(source, result)
    return None

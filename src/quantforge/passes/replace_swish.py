"""Replace swish (SiLU) by hard swish, which DPUs compute.

    swish(x) = x / (1 + exp(-x)),   hard-swish(x) = x min(max(x + 3, 0), 6) / 6

The two differ by up to 0.14, at |x| = 3, so a network that was trained with one needs training, or at least a look
at its accuracy, with the other. That is why this is a choice of the recipe and the report says so. A swish written as
x * sigmoid(x) is replaced too, where nothing else reads the sigmoid.
Source: convert_silu_to_hswish of the PyTorch quantizer of Vitis AI, message QUANTIZER_TORCH_REPLACE_SILU.
"""

from __future__ import annotations

from quantforge.graph import Graph, Op
from quantforge.passes.result import Note, PassResult

NAME = "replace-swish"


def replace_swishes(graph: Graph) -> PassResult:
    """Changed: every swish and every product x * sigmoid(x), now a hard-swish."""
    graph = graph.copy()
    notes = []
    for op in graph.ops:
        if op.kind == "swish":
            graph.replace_op(op.changed(NAME, kind="hard-swish", attrs={}))
        elif (gate := _gate(graph, op)) is not None:
            source = gate.inputs[0]
            graph.replace_op(op.changed(NAME, kind="hard-swish", inputs=(source,), attrs={}))
            graph.remove_op(gate.name)
        else:
            continue
        notes.append(Note(NAME, op.name, True, "swish made hard-swish, which differs from it by up to 0.14"))
    graph.prune()
    return PassResult(graph, tuple(note.op for note in notes), tuple(notes))


def _gate(graph: Graph, op: Op) -> Op | None:
    """The sigmoid of x in a product of x and it, if only the product reads it."""
    if op.kind != "eltwise-mul" or len(op.inputs) != 2:
        return None
    for gated, source in (op.inputs, op.inputs[::-1]):
        gate = graph.producer(gated)
        if gate is None or gate.kind != "sigmoid" or gate.inputs[0] != source or gated in graph.outputs:
            continue
        if len(graph.consumers(gated)) == 1 and gated != source:
            return gate
    return None

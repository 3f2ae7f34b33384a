"""Replace relu6 by relu, so that equalization can pass through it.

relu6(x) = min(max(x, 0), 6) is not positively homogeneous, relu is. Where activations stay below 6 the two
agree; elsewhere the function changes, which is why this is a choice of the recipe and the report says so.
Source: option ReplaceClip6Relu of vai_q_onnx.
"""

from __future__ import annotations

from quantforge.graph import Graph
from quantforge.passes.result import Note, PassResult

NAME = "replace-relu6"


def replace_relu6(graph: Graph) -> PassResult:
    """Changed: every relu6, now a relu."""
    graph = graph.copy()
    names = tuple(op.name for op in graph.ops if op.kind == "relu6")
    for name in names:
        graph.replace_op(graph.op(name).changed(NAME, kind="relu", attrs={}))
    return PassResult(graph, names, tuple(Note(NAME, name, True, "relu6 made relu") for name in names))

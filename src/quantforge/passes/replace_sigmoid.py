"""Replace sigmoid by hard sigmoid, which some DPUs compute.

    sigmoid(x) = 1 / (1 + exp(-x)),   hard-sigmoid(x) = min(max(x / 6 + 1/2, 0), 1)

The two differ by up to 0.07. Behind the last layer of a classifier that changes scores and not their order; in gates
it changes the network, so this is a choice of the recipe.
Source: message QUANTIZER_TORCH_REPLACE_SIGMOID of the PyTorch quantizer of Vitis AI; option
ConvertSigmoidToHardSigmoid of its ONNX quantizer.
"""

from __future__ import annotations

from collections.abc import Container

from quantforge.graph import Graph
from quantforge.passes.result import Note, PassResult

NAME = "replace-sigmoid"
SIXTH = {"alpha": 1.0 / 6.0, "beta": 0.5}


def replace_sigmoids(graph: Graph, float_ops: Container[str] = ()) -> PassResult:
    """Changed: every sigmoid except `float_ops`, now a hard-sigmoid of slope 1/6."""
    graph = graph.copy()
    names = tuple(op.name for op in graph.ops if op.kind == "sigmoid" and op.name not in float_ops)
    for name in names:
        graph.replace_op(graph.op(name).changed(NAME, kind="hard-sigmoid", attrs=SIXTH))
    text = "sigmoid made hard-sigmoid, which differs from it by up to 0.07"
    return PassResult(graph, names, tuple(Note(NAME, name, True, text) for name in names))

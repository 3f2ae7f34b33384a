"""Give softmax the approximation of a DPU; see `ops.dpu_softmax`.

Source: ConvertSoftmaxToDPUVersion of the ONNX quantizer of Vitis AI.
"""

from __future__ import annotations

from collections.abc import Container

from quantforge.graph import Graph
from quantforge.ops.dpu_softmax import KIND
from quantforge.passes.result import Note, PassResult

NAME = "dpu-softmax"


def dpu_softmaxes(graph: Graph, float_ops: Container[str] = ()) -> PassResult:
    """Changed: every softmax, except `float_ops`."""
    graph = graph.copy()
    changed = [op for op in graph.ops if op.kind == "softmax" and op.name not in float_ops]
    for op in changed:
        graph.replace_op(op.changed(NAME, kind=KIND, attrs=op.attrs))
    notes = tuple(Note(NAME, op.name, True, "exp approximated in bfloat16, as on a DPU") for op in changed)
    return PassResult(graph, tuple(op.name for op in changed), notes)

"""The part of a graph that torch can run, as a graph of its own: what fine-tuning works on.

A model may hold operators that only the framework it came from computes, mostly behind its last layers, such as
non-maximum suppression. They and all that depends on them are left out; what they read becomes an output.
"""

from __future__ import annotations

from dataclasses import replace

from quantforge.diagnostics import UnsupportedError
from quantforge.frontends.torch.kernels import kernel
from quantforge.frontends.torch.native import NativeCall
from quantforge.graph import Graph, Op


def runnable_part(graph: Graph) -> Graph:
    """The ops of `graph` that torch can run on its inputs; the graph itself when that is all of them."""
    lost: set[str] = set()
    for op in graph.ops:
        if lost & set(op.inputs) or not _runs(op):
            lost.update(op.outputs)
    if not lost:
        return graph
    ends = dict.fromkeys(name for name in graph.outputs if name not in lost)
    for op in graph.ops:
        if lost & set(op.outputs):
            ends.update(dict.fromkeys(name for name in op.inputs if name and name not in lost))
    outputs = [name for name in ends if graph.producer(name) is not None and graph.value(name).is_float]
    return reduced_to(graph, outputs)


def reduced_to(graph: Graph, outputs: list[str]) -> Graph:
    """What `outputs` need."""
    needed, ops = set(outputs), []
    for op in reversed(graph.ops):
        if needed & set(op.outputs):
            needed.update(op.inputs)
            ops.append(op)
    names = {name for op in ops for name in (*op.inputs, *op.outputs)} | {*outputs, *graph.inputs}
    values = [value for value in graph.values if value.name in names]
    return Graph(graph.name, values, reversed(ops), graph.inputs, outputs, graph.native)


def put_back(graph: Graph, part: Graph) -> Graph:
    """A copy of `graph` with the constants and specs of `part`."""
    graph = graph.copy()
    for value in part.values:
        known = graph.value(value.name)
        if value.const is not known.const or value.quant != known.quant:
            graph.set_value(replace(known, const=value.const, quant=value.quant))
    return graph


def _runs(op: Op) -> bool:
    if op.kind == "opaque":
        return isinstance(op.origin.native, NativeCall)
    try:
        kernel(op)
    except UnsupportedError:
        return False
    return True

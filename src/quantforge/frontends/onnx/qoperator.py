"""A graph with specs as operators on integers: the form QOperator.

    x -> QuantizeLinear -> QLinearConv -> MaxPool -> QGemm -> DequantizeLinear -> y

An operator computes on integers where `integer_nodes` has a rule for it; its neighbours without one compute on real
numbers between DequantizeLinear and QuantizeLinear. The result is a graph of its own, whose remaining specs the
emitter writes as QDQ; ONNX Runtime runs it without any fusion.
"""

from __future__ import annotations

from dataclasses import replace

from quantforge.frontends.onnx.integer_nodes import Chain, Rule, data_of, rule_of
from quantforge.frontends.onnx.integer_writer import MICROSOFT, IntegerWriter
from quantforge.frontends.onnx.native import NativeModel
from quantforge.graph import Graph, Op

_DEFAULT_OPSET = 17
_FUSED = ("relu", "relu6", "clip")
Planned = dict[str, tuple[Chain, Rule]]


def with_integer_operators(graph: Graph) -> Graph:
    """A copy of a quantized graph in which operators on integers stand where there are such."""
    plan = planned(graph)
    joined = {chain.activation.name for chain, _ in plan.values() if chain.activation is not None}
    touched = {name for chain, rule in plan.values() for name in (*_read(graph, chain, rule), chain.result)}
    writer = IntegerWriter.start(graph, touched)
    for op in graph.ops:
        if op.name in plan:
            chain, rule = plan[op.name]
            rule.write(writer, chain)
        elif op.name not in joined:
            writer.keep(op)
    for name in graph.outputs:
        writer.real(name)
    made = writer.made
    if MICROSOFT in writer.domains:
        native = (
            graph.native if isinstance(graph.native, NativeModel) else NativeModel({"": _DEFAULT_OPSET}, 0)
        )
        made.native = replace(native, opsets={**native.opsets, MICROSOFT: 1})
    made.prune()
    return made


def planned(graph: Graph) -> Planned:
    """The operators that compute on integers, by name, each with the activation that joins it."""
    plan: Planned = {}
    joined: set[str] = set()
    for op in graph.ops:
        if op.name in joined or not op.outputs:
            continue
        chain = _chain(graph, op)
        rule = rule_of(graph, chain)
        if rule is not None:
            plan[op.name] = (chain, rule)
            if chain.activation is not None:
                joined.add(chain.activation.name)
    return plan


def _chain(graph: Graph, op: Op) -> Chain:
    """`op` with the activation behind it, when nothing is stored in between."""
    inner = graph.value(op.outputs[0])
    readers = graph.consumers(inner.name)
    fused = inner.quant is None and len(readers) == 1 and inner.name not in graph.outputs
    if fused and readers[0].kind in _FUSED:
        return Chain(op, readers[0], readers[0].outputs[0])
    return Chain(op, None, inner.name)


def _read(graph: Graph, chain: Chain, rule: Rule) -> list[str]:
    """What the operator reads as integers; weights have a form of their own."""
    names = data_of(chain.op, rule)
    if chain.op.kind == "matmul" and graph.const(chain.op, 1) is None:
        names.append(chain.op.inputs[1])
    return names

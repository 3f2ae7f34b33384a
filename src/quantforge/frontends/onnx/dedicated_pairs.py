"""A pair of QuantizeLinear and DequantizeLinear for every reader of a tensor, instead of one that all share.

    t -> t_QuantizeLinear -> t_DequantizeLinear -> a, b      becomes
    t -> t_QuantizeLinear_1 -> t_DequantizeLinear_1 -> a
      -> t_QuantizeLinear_2 -> t_DequantizeLinear_2 -> b

Compilers that fuse a pair into its one reader want this; the numbers are the same. Readers are counted by inputs: one
that reads t twice has two. Constants have DequantizeLinear alone, or pairs, and are treated alike. What is also an
output of the graph, or read inside a subgraph, keeps its pair for that, without a number.
Source: option DedicatedQDQPair of the quantizer of ONNX Runtime.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from onnx import NodeProto

_LAST = ("DequantizeLinear", "VitisDequantizeLinear", "FixNeuron")
_FIRST = ("QuantizeLinear", "VitisQuantizeLinear")


def dedicate_pairs(model: Any) -> None:
    """Change the ModelProto `model` in place."""
    graph = model.graph
    old = list(model.graph.node)  # one object for each node, whose identity counts below
    makers = {name: node for node in old for name in node.output}
    readers: dict[str, list[tuple[Any, int]]] = defaultdict(list)
    for node in old:
        for index, name in enumerate(node.input):
            readers[name].append((node, index))
    kept = {value.name for value in graph.output}
    kept |= {name for node in old for name in _captured(node)}
    made: dict[int, list[Any]] = {}  # copies, by the identity of the node that they stand behind or replace
    gone: set[int] = set()
    for node in old:
        if node.op_type not in _LAST or len(readers[node.output[0]]) + (node.output[0] in kept) < 2:
            continue
        chain = _chain(node, makers, readers)
        copies: list[Any] = []
        for number, (reader, index) in enumerate(readers[node.output[0]], 1):
            copies += _copies(chain, number)
            reader.input[index] = copies[-1].output[0]
        made[id(node)] = copies
        if node.output[0] not in kept:
            gone.update(id(link) for link in chain)
    nodes = [
        _copy(new) for node in old for new in (*([] if id(node) in gone else [node]), *made.get(id(node), ()))
    ]
    del graph.node[:]
    graph.node.extend(nodes)


def _chain(node: Any, makers: dict[str, Any], readers: dict[str, list[tuple[Any, int]]]) -> list[Any]:
    """The pair that ends in `node`, or `node` alone."""
    first = makers.get(node.input[0])
    paired = first is not None and first.op_type in _FIRST and len(readers[node.input[0]]) == 1
    return [first, node] if paired else [node]


def _copies(chain: list[Any], number: int) -> Iterator[Any]:
    source = chain[0].input[0]
    for link in chain:
        node = _copy(link)
        node.name, node.input[0] = f"{link.name}_{number}" if link.name else "", source
        node.output[0] = source = f"{link.output[0]}_{number}"
        yield node


def _copy(node: Any) -> Any:
    made = NodeProto()
    made.CopyFrom(node)
    return made


def _captured(node: Any) -> Iterator[str]:
    """Everything that subgraphs of `node` name as an input."""
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
            yield from (value.name for value in graph.output)
            for inner in graph.node:
                yield from inner.input
                yield from _captured(inner)

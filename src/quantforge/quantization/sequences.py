"""How long the sequences of a sample are, where the graph leaves that open.

Work is counted from the shapes of the graph, in which an open size counts as one. A product with weights in a
network of sequences runs once for every element of the sequence, so one sample costs its length times what the
shapes say.
"""

from __future__ import annotations

from collections.abc import Sequence

from quantforge.graph import Graph
from quantforge.graph.execution import Feeds

_RANKS = (2, 3)  # [batch, elements] and [batch, elements, channels]


def sequence_length(graph: Graph, batches: Sequence[Feeds]) -> int:
    """The length of the longest sequence in `batches` that an input with an open second axis gets; else 1."""
    lengths = [1]
    for name in graph.inputs:
        shape = graph.value(name).shape
        if shape is not None and len(shape) in _RANKS and not isinstance(shape[1], int):
            lengths += [feeds[name].shape[1] for feeds in batches if name in feeds]
    return max(lengths)

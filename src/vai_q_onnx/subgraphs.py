"""`EnableSubgraph`: what lies inside If, Loop and Scan is quantized too.

The original does so for `QuantFormat.QOperator` alone, with the scales of the outer graph; here bodies have scales of
their own, measured inside, and every format has them (see `quantforge.frontends.onnx.bodies`). Arguments that name
nodes speak of the outer graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from quantforge.calibration.data import open_data
from quantforge.frontends.onnx import OnnxExecutor, input_infos
from quantforge.frontends.onnx.bodies import quantize_bodies
from quantforge.graph import Array, Graph
from quantforge.graph.execution import Feeds
from quantforge.passes.result import Note
from quantforge.quantization.flow import quantize_graph
from quantforge.quantization.recipe import Recipe

BATCHES = 16  # of the calibration data that go through the bodies


@dataclass
class PeekedReader:
    """A data reader whose first batches have been looked at."""

    reader: Any
    first: list[dict[str, Array]] = field(default_factory=list)

    def peek(self, batches: int) -> list[dict[str, Array]]:
        """The first `batches`, which `get_next` gives all the same."""
        self.first = list(islice(iter(self.reader.get_next, None), batches))
        return list(self.first)

    def get_next(self) -> dict[str, Array] | None:
        """The next batch; None at the end."""
        return self.first.pop(0) if self.first else self.reader.get_next()


def quantize_subgraphs(
    graph: Graph, reader: Any, recipe: Recipe, providers: Sequence[str]
) -> tuple[Graph, Any, tuple[Note, ...]]:
    """`graph` with quantized bodies, a reader that gives what `reader` would, and a note for each body."""
    executor = OnnxExecutor(providers=tuple(providers))

    def quantize(body: Graph, feeds: Sequence[Feeds]) -> Graph:
        return quantize_graph(body, executor, open_data(list(feeds), input_infos(body)), recipe).graph

    peeked = PeekedReader(reader)
    graph, notes = quantize_bodies(graph, peeked.peek(BATCHES), quantize, executor)
    return graph, peeked, notes

"""Graphs from ONNX text for the tests of passes, and whether two compute the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from quantforge.frontends.onnx import import_model
from quantforge.graph import Array, Graph
from quantforge.graph.verify import verify
from quantforge.ops.interpreter import Interpreter
from tests.unit.frontends.onnx.text_models import model


def net(body: str, x: str = "1,4,6,6", y: str = "1,4,6,6", **constants: Any) -> Graph:
    """The graph of ``x -> y`` with `body` in between."""
    return import_model(model(f"agraph (float[{x}] x) => (float[{y}] y) {{ {body} }}", **constants))


def outputs(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What the reference interpreter computes."""
    return dict(Interpreter().session(graph, graph.outputs).run(feeds))


def kinds(graph: Graph) -> list[str]:
    """Kinds in order, of a graph that keeps all rules."""
    verify(graph)
    return [op.kind for op in graph.ops]


def same(before: Graph, after: Graph, x: Array, tolerance: float = 1e-5) -> None:
    """Both compute the same outputs."""
    want, got = outputs(before, {"x": x}), outputs(after, {"x": x})
    for name in before.outputs:
        np.testing.assert_allclose(got[name], want[name], rtol=tolerance, atol=tolerance)

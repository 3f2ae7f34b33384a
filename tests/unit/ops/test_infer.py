from __future__ import annotations

import numpy as np

from quantforge.graph import Graph, Value
from quantforge.graph.text import parse_graph
from quantforge.ops.infer import infer_shapes

NET = """
graph "net"
input %x: float32[batch,3,8,8]
const %w: float32[2,3,1,1] = [1, 2, 3, 4, 5, 6]
%a: float32 = conv2d(%x, %w)  # "conv"
%n: float32[batch,7] = opaque(%a) type="Custom"  # "custom"
%r: float32[4,2,?,?] = resize(%a) scales=(1.0, 1.0, 2.0, 2.0)  # "resize"
%i: float32 = argmax(%n) axis=1 keepdims=false  # "argmax"
output %r, %i
"""


def shapes(graph: Graph) -> dict[str, str]:
    return {value.name: f"{value.dtype}{value.shape}" for value in graph.values if not value.is_const}


def test_shapes_are_filled_in_and_recorded_ones_kept() -> None:
    graph = parse_graph(NET)
    assert shapes(infer_shapes(graph)) == {
        "x": "float32('batch', 3, 8, 8)",
        "a": "float32('batch', 2, 8, 8)",
        "n": "float32('batch', 7)",
        "r": "float32(4, 2, 16, 16)",
        "i": "int64('batch',)",
    }
    assert graph.value("a").shape is None, "the graph given stays as it was"


def test_a_value_that_was_not_there_is_added() -> None:
    graph = Graph("g", [Value("x", (2,))], inputs=["x"], outputs=["y"])
    from quantforge.graph import Op

    graph.add_op(Op("relu", "r", ("x",), ("y",)))
    assert infer_shapes(graph).value("y").shape == (2,)
    assert np.dtype(infer_shapes(graph).value("y").dtype) == np.float32

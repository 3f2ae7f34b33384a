from __future__ import annotations

from quantforge.passes.split_to_slices import split_to_slices
from tests.unit.frontends.onnx.text_models import random

from .onnx_nets import kinds, net, same

BODY = "a, b, c = Split <axis = 1> (x, sizes) y = Concat <axis = 1> (c, a)"


def test_a_slice_for_every_part_that_is_read() -> None:
    graph = net(BODY, y="1,3,6,6", sizes=[1, 1, 2])
    result = split_to_slices(graph)
    assert kinds(result.graph) == ["strided-slice", "strided-slice", "concat"]
    first, last = result.graph.ops[:2]
    assert (first.attrs["begin"], first.attrs["end"]) == ((0,), (1,))
    assert (last.attrs["begin"], last.attrs["end"], last.attrs["axes"]) == ((2,), (4,), (1,))
    assert [op.name for op in (first, last)] == ["a_0", "c_2"]
    assert not result.graph.has_value("b")
    same(graph, result.graph, random(1, 4, 6, 6))
    assert split_to_slices(result.graph).changed == ()


def test_equal_parts_and_graph_outputs() -> None:
    graph = net("z, y = Split <axis = 2> (x)", y="1,4,3,6")
    graph.outputs = ("y", "z")
    result = split_to_slices(graph)
    assert kinds(result.graph) == ["strided-slice"] * 2
    same(graph, result.graph, random(1, 4, 6, 6))


def test_a_named_split_stays() -> None:
    graph = net(BODY, y="1,3,6,6", sizes=[1, 1, 2])
    assert kinds(split_to_slices(graph, lambda op: op.kind == "split").graph) == ["split", "concat"]

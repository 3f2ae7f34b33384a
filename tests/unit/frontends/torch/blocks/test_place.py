from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.frontends.torch.blocks.place import NAME, BlockRecipe, place_blocks, readings  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.graph import Graph, Op, Value  # noqa: E402
from quantforge.graph.text import parse_graph, print_graph  # noqa: E402
from quantforge.graph.verify import verify  # noqa: E402
from quantforge.numerics.block_float import parse_block_format, round_blocks  # noqa: E402
from quantforge.ops.registry import KINDS  # noqa: E402
from tests.unit.frontends.torch.modules import Twice  # noqa: E402

MX6 = parse_block_format("mx6")
RECIPE = BlockRecipe(MX6)


def read(kind: str, *shapes: tuple[int, ...], **attrs: Any) -> list[tuple[int, str, int]]:
    names = [f"x{i}" for i in range(len(shapes))]
    values = [Value(name, shape) for name, shape in zip(names, shapes, strict=True)]
    op = Op(kind, "op", tuple(names), ("y",), attrs)
    graph = Graph("g", [*values, Value("y")], [op], names, ["y"])
    return [(reading.index, str(reading.format), reading.axis) for reading in readings(graph, op, RECIPE)]


def test_products_read_blocks_along_what_they_sum() -> None:
    image, weights = (2, 8, 5, 5), (4, 8, 3, 3)
    for kind in ("conv2d", "depthwise-conv2d", "transposed-conv2d", "conv1d"):
        assert read(kind, image, weights, (4,), weight_layout="OIHW") == [(0, "mx6", 1), (1, "mx6", 1)]
    rows = (3, 2, 8)
    assert read("inner-product", rows, (4, 8), weight_layout="OI") == [(0, "mx6", 2), (1, "mx6", 1)]
    assert read("inner-product", rows, (8, 4), weight_layout="IO") == [(0, "mx6", 2), (1, "mx6", 0)]
    assert read("matmul", (2, 3, 4, 5), (2, 3, 5, 6)) == [(0, "mx6", 3), (1, "mx6", 2)]


def test_functions_with_a_table_read_bfloat16_and_the_rest_float() -> None:
    for kind in ("softmax", "sigmoid", "tanh", "gelu", "layernorm"):
        assert read(kind, (2, 8)) == [(0, "bfloat16", 1)]
    assert read("avgpool2d", (2, 8, 4, 4), **{"global": True}) == [(0, "bfloat16", 3)]
    for kind in ("avgpool2d", "relu", "eltwise-add", "batchnorm"):
        assert read(kind, (2, 8, 4, 4)) == []
    op = Op("tanh", "op", ("x",), ("y",))
    graph = Graph("g", [Value("x", (2,)), Value("y")], [op], ["x"], ["y"])
    assert readings(graph, op, replace(RECIPE, functions=None)) == ()
    graph.set_value(Value("x", (2,), "float64"))
    assert readings(graph, op, RECIPE) == ()


def test_a_value_is_stored_once_for_each_way_it_is_read() -> None:
    text = """graph "g"
input %x: float32[2,20,20]
%a: float32[2,20,20] = matmul(%x, %x)  # "a"
%b: float32[2,20,20] = matmul(%x, %a)  # "b"
%c: float32[2,20,20] = softmax(%x) axis=2  # "c"
%d: float32[2,20,20] = tanh(%x)  # "d"
output %b, %c, %d
"""
    graph = place_blocks(parse_graph(text), RECIPE, ["d"])
    verify(graph, KINDS)
    assert graph.op("a").inputs == ("x.mx6", "x.mx6_1") and graph.op("b").inputs == ("x.mx6", "a.mx6")
    assert graph.op("c").inputs == ("x.bfloat16",) and graph.op("d").inputs == ("x",)
    made = [op for op in graph.ops if op.origin.made_by == NAME]
    assert [(op.inputs[0], op.attrs["axis"]) for op in made] == [("x", 2), ("x", 1), ("a", 1), ("x", 2)]
    assert print_graph(parse_graph(print_graph(graph))) == print_graph(graph)


def test_weights_are_stored_and_biases_are_not() -> None:
    module = Twice()
    graph = import_module(module, torch.zeros(2, 3, 6, 6))
    placed = place_blocks(graph, RECIPE)
    shared = module.conv.weight.detach().numpy()
    np.testing.assert_array_equal(placed.value("conv.weight.mx6").const, round_blocks(shared, MX6, 1))
    weight = module.first.weight.detach().numpy()
    assert placed.op("first").inputs[1] == placed.op("second").inputs[1] == "first.weight.mx6"
    np.testing.assert_array_equal(placed.value("first.weight.mx6").const, round_blocks(weight, MX6, 1))
    np.testing.assert_array_equal(placed.value("first.bias").const, module.first.bias.detach().numpy())
    single = place_blocks(import_module(nn.Linear(20, 3), torch.zeros(2, 20)), RECIPE)
    assert single.has_value("weight") and not single.has_value("weight.mx6")

from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph.text import parse_graph, print_graph
from quantforge.graph.verify import verify
from quantforge.numerics.block_float import parse_block_format, round_blocks
from quantforge.ops.fake_quantize import named_format
from quantforge.ops.infer import infer_shapes
from quantforge.ops.interpreter import Interpreter
from quantforge.ops.registry import KINDS
from tests.unit.ops.single_op import in_ours, normal

X = normal(2, 20, 3)
TEXT = """graph "g"
input %x: float32[2,20,3]
%y: float32[2,20,3] = fake-quantize(%x) format="mx6" axis=1  # "x.mx6"
%z: float32[2,20,3] = fake-quantize(%x) format="mxfp8_e4m3" axis=2  # "x.mxfp8"
output %y, %z
"""


def test_one_value_is_read_in_two_formats() -> None:
    graph = infer_shapes(parse_graph(TEXT))
    verify(graph, KINDS)
    assert print_graph(graph) == TEXT
    found = Interpreter().session(graph, graph.outputs).run({"x": X})
    np.testing.assert_array_equal(found["y"], round_blocks(X, parse_block_format("mx6"), 1))
    np.testing.assert_array_equal(found["z"], round_blocks(X, parse_block_format("mxfp8_e4m3"), 2))


def test_float_formats_round_as_casts_do() -> None:
    x = np.array([1.01171875, -3.4e38, np.inf, 1e-40], np.float32)
    found = in_ours("fake-quantize", [x], format="bfloat16")[0]
    assert found.tolist() == [1.015625, -np.inf, np.inf, 2.0**-133]
    assert in_ours("fake-quantize", [x], format="float16")[0].tolist() == [1.01171875, -np.inf, np.inf, 0.0]


def test_other_formats_are_refused() -> None:
    with pytest.raises(InputError, match="Q1475"):
        named_format("int8")
    with pytest.raises(InputError, match="Q0405"):
        in_ours("fake-quantize", [X])

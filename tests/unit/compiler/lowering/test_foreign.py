from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from quantforge.compiler.lower import lower
from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import import_model, single_node
from tests.unit.frontends.onnx.text_models import model, random

from .checks import kinds, lowered, only


def test_a_node_that_stands_alone() -> None:
    made = lowered("g (float[1,3,4,5] x) => (y) { y = CumSum(x, k) }", k=np.int64(1))
    op = only(made, "onnx:CumSum")
    node = onnx.NodeProto.FromString(op.get("onnx_node"))
    assert list(node.input) == ["x0", "x1"] and list(node.output) == ["y"]
    assert op.get("shape") == (1, 3, 4, 5) and op.get("data_type") == "FLOAT32"
    assert (
        op.get("onnx_inputs") == ("float32[1,3,4,5]", "int64[]")
        and op.get("onnx_output") == "float32[1,3,4,5]"
    )
    assert made.ops[op.args["input"][1]].tensor.shape == (1,)  # XIR has no scalars


def test_images_around_it_are_in_the_graphs_order() -> None:
    made = lowered("g (float[1,3,4,5] x) => (y) { r = Relu(x) c = CumSum(r, k) y = Conv(c, w) }",
                   k=np.int64(1), w=random(2, 3, 1, 1))  # fmt: skip
    assert kinds(made) == {"relu": 1, "transpose": 2, "onnx:CumSum": 1, "conv2d": 1}


def test_booleans_are_bytes() -> None:
    made = lowered("g (float[1,3] x, float[1,3] z) => (y) { m = Greater(x, z) y = Where(m, x, z) }")
    assert only(made, "onnx:Where").get("onnx_inputs")[0] == "bool[1,3]"
    assert str(made.ops["m"].tensor.dtype) == "UINT8"


def test_pointwise_nodes_take_images_as_they_lie() -> None:
    made = lowered(
        "g (float[N,3,4,5] x) => (y) { e = Erf(x) f = Flatten(e) s = Sqrt(f) y = Concat <axis = 1> (f, s) }"
    )
    assert kinds(made) == {"onnx:Erf": 1, "onnx:Sqrt": 1, "transpose": 1, "reshape": 1, "concat": 1}
    made = lowered(
        "g (float[N,3,4,5] x) => (y) { f = Flatten(x) h = HardSigmoid(f) y = MatMul(h, w) }", w=random(60, 4)
    )
    assert kinds(made) == {"reshape": 1, "onnx:HardSigmoid": 1, "matmul": 1}  # the weights follow


def test_a_parameter_that_is_an_attribute_of_the_op_becomes_a_constant() -> None:
    made = lowered("g (float[1,3] x) => (y) { y = Tile(x, k) }", k=[2, 2])
    assert made.ops[only(made, "onnx:Tile").args["input"][1]].kind == "const"


@pytest.mark.parametrize(
    ("text", "arrays"),
    [
        ("g (float[1,6] x) => (y, i) { y, i = TopK(x, k) }", {"k": np.array([2])}),
        (
            """g (bool b, float[2] x) => (y) {
                y = If (b) <then_branch = t () => (p) { p = Relu(x) }, else_branch = e () => (q) { q = Neg(x) }> }""",
            {},
        ),
    ],
)
def test_operators_with_several_outputs_or_a_body(text: str, arrays: dict[str, Any]) -> None:
    graph = import_model(model(text, **arrays))
    with pytest.raises(InputError) as error:
        lower(graph, node_of=single_node)
    assert error.value.diagnostic.code == "Q1153" and graph.ops[0].name in error.value.diagnostic.where


def test_without_a_door_nothing_can_be_kept() -> None:
    graph = import_model(model("g (float[3] x) => (y) { y = Erf(x) }"))
    with pytest.raises(InputError, match="Q1153"):
        lower(graph)


def test_strings() -> None:
    graph = import_model(model("g (string[3] x) => (y) { y = Identity(x) }"))
    with pytest.raises(InputError, match="Q1153"):
        lower(graph, node_of=single_node)

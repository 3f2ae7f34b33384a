"""Ops as nodes that stand alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from quantforge.frontends.onnx import import_model, single_node
from quantforge.frontends.onnx.single_node import SingleNode
from quantforge.graph import Array, Graph

from .text_models import model, random, run


def alone(graph: Graph, x: Array) -> Any:
    """The only op of a graph on x, computed from its node."""
    made = single_node(graph, graph.ops[0])
    assert isinstance(made, SingleNode)
    values = [x if isinstance(given, int) else given for given in made.inputs]
    feeds = {f"x{index}": np.asarray(value) for index, value in enumerate(values)}
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(data.dtype), data.shape)
        for name, data in feeds.items()
    ]
    result = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    node = onnx.NodeProto.FromString(made.proto)
    assert node.op_type == made.op_type and len(made.names) == len(made.inputs)
    proto = helper.make_model(
        helper.make_graph([node], "g", infos, [result]),
        opset_imports=[helper.make_opsetid("", made.opset)],
        ir_version=8,
    )
    return run(proto, feeds)[0]


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    ("text", "arrays"),
    [
        ("g (float[2,6] x) => (y) { y = Clip(x, , high) }", {"high": np.float32(0.5)}),
        ("g (float[2,6] x) => (y) { y = ReduceSum <keepdims = 0> (x, axes) }", {"axes": np.array([1])}),
        ("g (float[2,6] x) => (y) { y = Erf(x) }", {}),
        ("g (float[2,6] x) => (y) { y = Mul(x, x) }", {}),
    ],
)
def test_the_node_computes_what_the_model_computes(text: str, arrays: dict[str, Any], native: bool) -> None:
    proto = model(text, **arrays)
    graph = import_model(proto)
    if not native:
        op = graph.ops[0]
        graph.replace_op(replace(op, origin=replace(op.origin, native=None)))
    x = random(2, 6)
    assert np.array_equal(alone(graph, x), run(proto, {"x": x})[0])


def test_what_is_no_single_node() -> None:
    swish = import_model(model("g (float[2] x) => (y) { y = Relu(x) }"))
    swish.replace_op(swish.ops[0].changed("test", kind="swish"))
    assert single_node(swish, swish.ops[0]) is None  # a sigmoid and a product
    made = import_model(model("g (float[2] x) => (y) { y = Relu(x) }"))
    made.replace_op(made.ops[0].changed("test", kind="selu", attrs={"layout": "NHWC"}))
    assert single_node(made, made.ops[0]) is None
    parts = import_model(model("g (float[1,6] x) => (a, b) { a, b = Split <axis = 1> (x) }"))
    assert single_node(parts, parts.ops[0]) is None

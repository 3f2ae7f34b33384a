"""Models with If, Loop and Scan, whose bodies have something to quantize."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .text_models import random

FLOAT = TensorProto.FLOAT


def finished(nodes: list[Any], shape: list[int], out: list[int], **constants: Any) -> Any:
    """A checked model from x to y."""
    graph = helper.make_graph(
        nodes,
        "outer",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info("y", FLOAT, out)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(proto)
    return proto


def branch(name: str) -> Any:
    """relu(conv(x, w_name)), where x and the weights are outer values."""
    nodes = [
        helper.make_node("Conv", ["x", f"w_{name}"], [f"c_{name}"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", [f"c_{name}"], [f"r_{name}"], f"relu_{name}"),
    ]
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(f"r_{name}", FLOAT, None)])


def with_branches() -> Any:
    """One convolution or another by the sign of the mean of x [1, 3, 8, 8], then a third one."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
        helper.make_node("Greater", ["mean", "zero"], ["above"]),
        helper.make_node(
            "If", ["above"], ["b"], "if", then_branch=branch("then"), else_branch=branch("else")
        ),
        helper.make_node("Conv", ["b", "w"], ["y"], "last", kernel_shape=[1, 1]),
    ]
    weights = {"w_then": random(4, 3, 3, 3), "w_else": random(4, 3, 3, 3, seed=1), "w": random(4, 4, 1, 1)}
    return finished(nodes, [1, 3, 8, 8], [1, 4, 8, 8], zero=np.float32(0), **weights)


def with_scan(backward: int = 0) -> Any:
    """A small recurrent network over the first axis of x [5, 2, 4], and a product behind it."""
    row = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["h", "w_h"], ["hw"], "product"),
            helper.make_node("Add", ["hw", "row"], ["sum"], "sum"),
            helper.make_node("Tanh", ["sum"], ["next"], "tanh"),
            helper.make_node("Identity", ["next"], ["seen"]),
        ],
        "step",
        [row("h", FLOAT, [2, 4]), row("row", FLOAT, [2, 4])],
        [row("next", FLOAT, [2, 4]), row("seen", FLOAT, [2, 4])],
    )
    scan = helper.make_node(
        "Scan", ["h0", "x"], ["last", "all"], "scan", body=body, num_scan_inputs=1,
        scan_input_directions=[backward],
    )  # fmt: skip
    nodes = [scan, helper.make_node("MatMul", ["all", "w"], ["y"], "out")]
    weights = {"w_h": random(4, 4), "w": random(4, 3, seed=1), "h0": np.zeros((2, 4), np.float32)}
    return finished(nodes, [5, 2, 4], [5, 2, 3], **weights)


def with_loop() -> Any:
    """Three times x [2, 4] -> relu(x w), then a product."""
    row = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "w_l"], ["sw"], "product"),
            helper.make_node("Relu", ["sw"], ["next"], "relu"),
            helper.make_node("Identity", ["going"], ["on"]),
        ],
        "trip",
        [row("trip", TensorProto.INT64, []), row("going", TensorProto.BOOL, []), row("state", FLOAT, [2, 4])],
        [row("on", TensorProto.BOOL, []), row("next", FLOAT, [2, 4])],
    )
    nodes = [
        helper.make_node("Loop", ["trips", "", "x"], ["end"], "loop", body=body),
        helper.make_node("MatMul", ["end", "w"], ["y"], "out"),
    ]
    return finished(
        nodes, [2, 4], [2, 3], trips=np.int64(3), w_l=np.abs(random(4, 4)) / 2, w=random(4, 3, seed=1)
    )

"""The template's networks as ONNX models."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, shape_inference

from tests.doors.template import SHAPE, Layer, Network

_CONV = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
_NODES: dict[str, tuple[str, dict[str, Any]]] = {
    "conv": ("Conv", _CONV),
    "depthwise": ("Conv", _CONV),
    "batchnorm": ("BatchNormalization", {"epsilon": 1e-5}),
    "relu": ("Relu", {}),
    "add": ("Add", {}),
    "concat": ("Concat", {"axis": 1}),
    "maxpool": ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "avgpool": ("GlobalAveragePool", {}),
    "flatten": ("Flatten", {}),
    "linear": ("Gemm", {"transB": 1}),
}


def to_onnx(network: Network) -> Any:
    """The model; nodes and their outputs have the names of the layers."""
    nodes, params = [], []
    for layer in network.layers:
        nodes.append(_node(layer))
        params += [numpy_helper.from_array(data, f"{layer.name}.{key}") for key, data in layer.params.items()]
    graph = helper.make_graph(
        nodes,
        network.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("batch", *SHAPE))],
        [helper.make_tensor_value_info(network.layers[-1].name, TensorProto.FLOAT, None)],
        params,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return shape_inference.infer_shapes(model)


def _node(layer: Layer) -> Any:
    kind, attrs = _NODES[layer.kind]
    if layer.kind == "depthwise":
        attrs = attrs | {"group": int(np.shape(layer.params["weight"])[0])}
    inputs = [*layer.inputs, *(f"{layer.name}.{key}" for key in layer.params)]
    return helper.make_node(kind, inputs, [layer.name], name=layer.name, **attrs)

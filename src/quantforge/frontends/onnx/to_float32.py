"""A float16 model in float32, which quantization works on.

Every float16 number is one of float32 too, so constants keep their values; results differ by what float16 rounded in
between. Inputs and outputs become float32 as well.
Source: `convert_fp16_to_fp32` of the ONNX quantizer of Vitis AI.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, numpy_helper

_TYPE_ATTRIBUTES = ("to", "dtype")  # of Cast; of EyeLike, RandomNormal, ...


def to_float32(model: Any) -> Any:
    """A copy of the ModelProto `model` without float16: constants, types, casts, in subgraphs and functions too."""
    made = ModelProto()
    made.CopyFrom(model)
    _graph(made.graph)
    for function in made.functions:
        _nodes(function.node)
        _types(function.value_info)
    return made


def _graph(graph: Any) -> None:
    for tensor in graph.initializer:
        _tensor(tensor)
    for tensor in graph.sparse_initializer:
        _tensor(tensor.values)
    for values in (graph.input, graph.output, graph.value_info):
        _types(values)
    _nodes(graph.node)


def _types(values: Iterable[Any]) -> None:
    for value in values:
        _type(value.type)


def _type(kind: Any) -> None:
    word = kind.WhichOneof("value")
    if word in ("tensor_type", "sparse_tensor_type"):
        tensor = getattr(kind, word)
        if tensor.elem_type == TensorProto.FLOAT16:
            tensor.elem_type = TensorProto.FLOAT
    elif word in ("sequence_type", "optional_type"):
        _type(getattr(kind, word).elem_type)
    elif word == "map_type":
        _type(kind.map_type.value_type)


def _nodes(nodes: Iterable[Any]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            _attribute(attribute)


def _attribute(attribute: Any) -> None:
    kind = attribute.type
    if kind == AttributeProto.INT and attribute.name in _TYPE_ATTRIBUTES:
        if attribute.i == TensorProto.FLOAT16:
            attribute.i = TensorProto.FLOAT
    elif kind == AttributeProto.TENSOR:
        _tensor(attribute.t)
    elif kind == AttributeProto.TENSORS:
        for tensor in attribute.tensors:
            _tensor(tensor)
    elif kind == AttributeProto.SPARSE_TENSOR:
        _tensor(attribute.sparse_tensor.values)
    elif kind == AttributeProto.TYPE_PROTO:
        _type(attribute.tp)
    elif kind == AttributeProto.GRAPH:
        _graph(attribute.g)
    elif kind == AttributeProto.GRAPHS:
        for graph in attribute.graphs:
            _graph(graph)


def _tensor(tensor: Any) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        tensor.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
        )

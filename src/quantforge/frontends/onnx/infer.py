"""Types and shapes of every value of a body, by onnx.shape_inference on a model without weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from onnx import checker, helper, shape_inference

from quantforge.frontends.onnx.fold import Body, TensorType, small_initializer
from quantforge.frontends.onnx.native import NOT_A_TENSOR, UNKNOWN, dtype_name, element_type
from quantforge.graph import Dim, Shape


def infer_types(body: Body, inputs: Iterable[Any], functions: Iterable[Any]) -> dict[str, TensorType]:
    """The type of every value that inference knows; constants stand in as inputs, small integers with data."""
    inputs = list(inputs)
    tensors = {name: small_initializer(name, array) for name, array in body.consts.items()}
    stand_ins = [
        helper.make_tensor_value_info(name, element_type(array.dtype.name), array.shape)
        for name, array in body.consts.items()
        if tensors[name] is None
    ]
    graph = helper.make_graph(
        body.nodes,
        "types",
        [*inputs, *stand_ins],
        [helper.make_empty_tensor_value_info(name) for name in body.outputs],
        [tensor for tensor in tensors.values() if tensor is not None],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in body.opsets.items()]
    model = helper.make_model(
        graph, opset_imports=opsets, functions=list(functions), ir_version=max(body.ir_version, 8)
    )
    try:
        model = shape_inference.infer_shapes(model, data_prop=True)
    except (shape_inference.InferenceError, checker.ValidationError, RuntimeError, ValueError):
        model = model  # a model that contradicts itself: what inputs and constants say is all that is known
    types = {v.name: tensor_type(v.type) for v in (*model.graph.value_info, *model.graph.output, *inputs)}
    types |= {
        n: TensorType(tuple(int(d) for d in a.shape), str(a.dtype.name)) for n, a in body.consts.items()
    }
    return types


def tensor_type(proto: Any) -> TensorType:
    """A TypeProto as shape and dtype name."""
    if not proto.HasField("tensor_type"):
        return TensorType(None, UNKNOWN if proto.WhichOneof("value") is None else NOT_A_TENSOR)
    tensor = proto.tensor_type
    shape = tuple(_dim(d) for d in tensor.shape.dim) if tensor.HasField("shape") else None
    return TensorType(shape, dtype_name(tensor.elem_type))


def _dim(dim: Any) -> Dim:
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    return str(dim.dim_param) or None


def named_inputs(inputs: Iterable[Any]) -> list[Any]:
    """Copies of input ValueInfos in which every unknown size has a name: "batch" on axis 0 of the first input."""
    copies = []
    for number, proto in enumerate(inputs):
        copy = type(proto)()
        copy.CopyFrom(proto)
        if copy.type.HasField("tensor_type"):
            for axis, dim in enumerate(copy.type.tensor_type.shape.dim):
                if not dim.dim_param and (not dim.HasField("dim_value") or dim.dim_value < 0):
                    dim.dim_param = "batch" if axis == number == 0 else f"{copy.name}_dim_{axis}"
        copies.append(copy)
    return copies


def shape_text(shape: Shape | None) -> str:
    """A shape for messages.

    >>> shape_text(("batch", 3, None))
    'batch x 3 x ?'
    """
    if shape is None:
        return "any shape"
    return " x ".join("?" if d is None else str(d) for d in shape) or "a scalar"

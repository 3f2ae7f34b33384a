"""Open sizes of a model made fixed: what compilers for devices without dynamic shapes ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, shape_inference

from quantforge.diagnostics import InputError
from quantforge.files import write_atomic


def fix_shapes(model: Any, shapes: Mapping[str, Sequence[int]]) -> Any:
    """A copy of `model` whose inputs have these shapes; the sizes of outputs follow from them.

    A size that is open under one name in several inputs or outputs becomes fixed in all of them.

    Args:
        model: A ModelProto with all its weights inside, below 2 GB.
        shapes: Whole shapes by input name.

    Raises:
        InputError: Q0614 for an unknown input, or a shape that contradicts the one it has.
    """
    fixed = ModelProto()
    fixed.CopyFrom(model)
    inputs = {proto.name: proto for proto in fixed.graph.input}
    named: dict[str, int] = {}
    for name, shape in shapes.items():
        if name not in inputs:
            known = ", ".join(map(repr, inputs))
            raise InputError(
                "Q0614", f"input {name!r}", "no input of this name", known, f"name one of {known}"
            )
        _fix(inputs[name], shape, named)
    for proto in (*fixed.graph.input, *fixed.graph.output):
        for dim in proto.type.tensor_type.shape.dim:
            if dim.dim_param in named:
                dim.dim_value = named[dim.dim_param]
    del fixed.graph.value_info[:]
    _follow(fixed)
    return fixed


def _fix(proto: Any, shape: Sequence[int], named: dict[str, int]) -> None:
    """Give one input a shape; `named` collects what its named sizes are."""
    dims = proto.type.tensor_type.shape.dim
    found = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in dims]
    fits = len(dims) == len(shape) and all(
        size > 0 and (not isinstance(dim, int) or dim in (size, 0))
        for dim, size in zip(found, shape, strict=True)
    )
    if not fits or any(named.get(str(dim), size) != size for dim, size in zip(found, shape, strict=True)):
        raise InputError(
            "Q0614", f"input {proto.name!r}", f"the shape {list(shape)}", f"sizes that fit {found}",
            "give every size, and equal ones where the names are equal",
        )  # fmt: skip
    for dim, size in zip(dims, shape, strict=True):
        if dim.dim_param:
            named[dim.dim_param] = size
        dim.dim_value = size


def _follow(model: Any) -> None:
    """Fill in the sizes of outputs that inference now knows."""
    open_outputs = ModelProto()
    open_outputs.CopyFrom(model)
    for proto in open_outputs.graph.output:
        for dim in proto.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.Clear()
    inferred = {
        proto.name: proto for proto in shape_inference.infer_shapes(open_outputs, data_prop=True).graph.output
    }
    for proto in model.graph.output:
        known = inferred[proto.name].type.tensor_type.shape.dim
        for dim, size in zip(proto.type.tensor_type.shape.dim, known, strict=False):
            if not dim.HasField("dim_value") and size.HasField("dim_value"):
                dim.dim_value = size.dim_value


def fix_file(source: str | Path, target: str | Path, shapes: Mapping[str, Sequence[int]]) -> Path:
    """`fix_shapes` from one file to another.

    Raises:
        InputError: Q0614 as `fix_shapes`, Q0101 when the file is no model, Q0601 when it cannot be written.
    """
    try:
        model = onnx.load(source)
    except (OSError, DecodeError) as error:
        raise InputError("Q0101", str(source), str(error), "an ONNX model", "check the path") from error
    return write_atomic(target, fix_shapes(model, shapes).SerializeToString())

"""A model that takes and returns images with their channels last: [N, C, H, W] to [N, H, W, C].

    input x [N, H, W, C]  ->  Transpose  ->  x_transpose [N, C, H, W], which the model reads
    y_nchw [N, C, H, W]   ->  Transpose  ->  output y [N, H, W, C]

Only the ends change; names of inputs and outputs stay. An image is a tensor of four axes, of which height and width
are known and larger than the number of channels. All inputs have to be images; outputs that are none stay.
Source: `convert_nchw_to_nhwc` of the ONNX quantizer of Vitis AI, which renames the outputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from onnx import ModelProto, helper

from quantforge.diagnostics import InputError

FIRST_TO_LAST, LAST_TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def channels_last(model: Any) -> tuple[Any, tuple[str, ...]]:
    """A copy of the ModelProto `model` with channels last, and the names of the inputs that changed.

    Raises:
        InputError: Q0716 when an input is no image; Q0607 when a tensor has a name that is needed.
    """
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    for value in inputs:
        if not _is_image(value):
            raise InputError(
                "Q0716", f"input {value.name!r}", _shape_text(value), "[N, C, H, W] with known H > C and W > C",
                "leave convert_nchw_to_nhwc out",
            )  # fmt: skip
    passed = {value.name for value in inputs}  # an output that is an input has no producer to rename
    outputs = [value for value in graph.output if _is_image(value) and value.name not in passed | constants]
    renames = {value.name: f"{value.name}_transpose" for value in inputs}
    renames |= {value.name: f"{value.name}_nchw" for value in outputs}
    _check_free(graph, renames)
    _rename(graph.node, renames)
    first = [_transpose(value.name, renames[value.name], LAST_TO_FIRST) for value in inputs]
    last = [_transpose(renames[value.name], value.name, FIRST_TO_LAST) for value in outputs]
    for value in (*inputs, *outputs):
        _reorder(value)
    nodes = [*first, *graph.node, *last]
    del graph.node[:]
    graph.node.extend(nodes)
    return made, tuple(value.name for value in inputs)


def _is_image(value: Any) -> bool:
    dims = value.type.tensor_type.shape.dim
    sizes = [dim.dim_value for dim in dims]
    return len(sizes) == 4 and 0 < sizes[1] < min(sizes[2:])


def _shape_text(value: Any) -> str:
    dims = value.type.tensor_type.shape.dim
    return f"[{', '.join(dim.dim_param or str(dim.dim_value or '?') for dim in dims)}]"


def _reorder(value: Any) -> None:
    shape = value.type.tensor_type.shape
    dims = [shape.dim[axis] for axis in FIRST_TO_LAST]
    copies = [type(dim).FromString(dim.SerializeToString()) for dim in dims]
    del shape.dim[:]
    shape.dim.extend(copies)


def _transpose(source: str, target: str, perm: tuple[int, ...]) -> Any:
    return helper.make_node("Transpose", [source], [target], f"{source}_to_{target}", perm=perm)


def _check_free(graph: Any, renames: dict[str, str]) -> None:
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    for name, new in renames.items():
        if new in taken:
            raise InputError("Q0607", name, f"a tensor called {new!r}", "free names", "rename that tensor")


def _rename(nodes: Iterable[Any], renames: dict[str, str]) -> None:
    """New names in all nodes, in those of subgraphs too, whose own names ONNX keeps distinct."""
    for node in nodes:
        node.input[:] = [renames.get(name, name) for name in node.input]
        node.output[:] = [renames.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                _rename(inner.node, renames)
                for value in inner.output:
                    value.name = renames.get(value.name, value.name)

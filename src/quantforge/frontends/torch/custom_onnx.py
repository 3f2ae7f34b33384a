"""Registered functions in ONNX: one node of the function's type, and a model-local function with what it computes.

The function's body is captured like a module of its own, so that stock ONNX Runtime runs the model. A body that ONNX
cannot express leaves the node alone, with a notice: whoever runs the model brings an implementation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from onnx import ModelProto, helper

from quantforge.diagnostics import Diagnostic, InputError, QuantforgeError
from quantforge.frontends.onnx.native import NativeNode
from quantforge.frontends.torch.custom_ops import DOMAIN as REGISTERED
from quantforge.frontends.torch.custom_ops import attributes_of, compute
from quantforge.frontends.torch.import_ import import_module
from quantforge.frontends.torch.native import NativeCall
from quantforge.graph import Graph, Op, Origin, Value

logger = logging.getLogger("pytorch_nndct")

DOMAIN = "quantforge.custom"
_LEAST_IR = 8  # functions in a model exist from here on
Emit = Callable[[Graph], ModelProto]


class Body(torch.nn.Module):
    """A registered function as a module of its tensors."""

    def __init__(self, type_name: str, text: str) -> None:
        super().__init__()
        self._type, self._text = type_name, text

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """The function."""
        return compute(self._type, tensors, self._text)


def with_custom_nodes(graph: Graph, emit: Emit) -> tuple[Graph, tuple[Any, ...]]:
    """A copy of `graph` in which registered functions are ONNX nodes, and the model-local functions they call.

    Args:
        graph: Any graph of the torch door.
        emit: Writes the graph of a body as an ONNX model.
    """
    written = Graph(graph.name, graph.values, (), graph.inputs, graph.outputs, graph.native)
    functions: dict[tuple[str, str], list[Any]] = {}
    for op in graph.ops:
        native = op.origin.native
        if not isinstance(native, NativeCall) or op.attrs.get("domain") != REGISTERED:
            written.add_op(op)
            continue
        type_name, _, text = native.args
        attributes = _attributes(type_name, text)
        if (type_name, text) not in functions:
            repeats = sum(name == type_name for name, _ in functions)
            name = f"{type_name}_{repeats}" if repeats else type_name
            functions[type_name, text] = _functions(graph, op, Body(type_name, text), name, attributes, emit)
        made = functions[type_name, text]
        written.add_op(_node(op, made[-1].name if made else type_name, attributes))
    return written, tuple(function for made in functions.values() for function in made)


def add_functions(model: Any, functions: Sequence[Any]) -> None:
    """Put the functions into `model`, and their domain where nodes are of it."""
    if any(node.domain == DOMAIN for node in model.graph.node):
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
        model.ir_version = max(model.ir_version, _LEAST_IR)
    known = {(function.domain, function.name) for function in model.functions}
    for function in functions:
        if (function.domain, function.name) not in known:
            known.add((function.domain, function.name))
            model.functions.append(function)


def _node(op: Op, name: str, attributes: Mapping[str, Any]) -> Op:
    proto = helper.make_node(
        name, list(op.inputs), list(op.outputs), op.name, None, DOMAIN, None, **attributes
    )
    record = NativeNode(proto, tuple(range(len(op.inputs))))
    said = {"type": name, "domain": DOMAIN}
    return Op("opaque", op.name, op.inputs, op.outputs, said, Origin((op.name,), None, record))


def _attributes(type_name: str, text: str) -> dict[str, Any]:
    """The attributes that ONNX can hold: numbers, texts and flat lists of one kind."""
    found: dict[str, Any] = {}
    for key, value in attributes_of(type_name, text).items():
        items = value if isinstance(value, list) else [value]
        if items and all(isinstance(item, int | float) for item in items):
            whole = all(isinstance(item, int) for item in items)
            numbers = [int(item) if whole else float(item) for item in items]
            found[key] = numbers if isinstance(value, list) else numbers[0]
        elif items and all(isinstance(item, str) for item in items):
            found[key] = value
    return found


def _functions(
    graph: Graph, op: Op, body: Body, name: str, attributes: Mapping[str, Any], emit: Emit
) -> list[Any]:
    """The function for `op`, behind those that it calls; none when ONNX cannot express it."""
    values = [graph.value(item) for item in op.inputs]
    try:
        inner = import_module(body, tuple(_example(value) for value in values))
        _check_open(op, values, inner)
        model = emit(inner)
    except QuantforgeError as error:
        notice = Diagnostic(
            "Q1459", f"operator {op.name!r} of type {name}", str(error), "a body that ONNX can express",
            f"bring an implementation of {DOMAIN}.{name} to where the model runs",
        )  # fmt: skip
        logger.warning("%s", notice)
        return []
    constants = [
        helper.make_node("Constant", [], [tensor.name], f"{tensor.name}_Constant", value=tensor)
        for tensor in model.graph.initializer
    ]
    function = helper.make_function(
        DOMAIN,
        name,
        [info.name for info in model.graph.input],
        [info.name for info in model.graph.output],
        [*constants, *model.graph.node],
        list(model.opset_import),
        attribute_protos=[helper.make_attribute(key, value) for key, value in attributes.items()],
    )
    return [*model.functions, function]


def _example(value: Value) -> torch.Tensor:
    sizes = [dim if isinstance(dim, int) else 2 for dim in value.shape or ()]
    return torch.zeros(sizes, dtype=getattr(torch, value.dtype))


def _check_open(op: Op, values: Sequence[Value], inner: Graph) -> None:
    """The body serves every batch that the model takes.

    Raises:
        InputError: Q1459 when it does not.
    """
    for value, name in zip(values, inner.inputs, strict=True):
        fixed = inner.value(name).shape or ()
        for axis, dim in enumerate(value.shape or ()):
            if not isinstance(dim, int) and isinstance(fixed[axis], int):
                raise InputError(
                    "Q1459", f"operator {op.name!r}", f"axis {axis} of {value.name} at {fixed[axis]} only",
                    "an open size", "write the function without loops over it",
                )  # fmt: skip

"""ONNX model to `Graph`.

Load, upgrade to opset 13 or newer, fold what is known before running, infer types, then translate node by node.
Every node becomes exactly one op that remembers it (`NativeNode`); nodes the table does not know become opaque.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from onnx import inliner

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.check import check_body
from quantforge.frontends.onnx.fold import Body, captured_names, fold_once
from quantforge.frontends.onnx.infer import infer_types, named_inputs
from quantforge.frontends.onnx.kinds import kind_of
from quantforge.frontends.onnx.load import LoadedModel, Source, load_model
from quantforge.frontends.onnx.native import (
    NOT_A_TENSOR,
    STRING,
    UNKNOWN,
    NativeModel,
    NativeNode,
    is_default_domain,
)
from quantforge.frontends.onnx.upgrade import WORKING_OPSET, Upgrade, check_opset, upgrade_nodes
from quantforge.frontends.onnx.view import Mapped
from quantforge.frontends.onnx.vitis_functions import OPERATORS, vitis_functions
from quantforge.graph import Array, Graph, Op, Origin, Value

_MAX_ROUNDS = 8
_WEIGHTED = (
    "conv",
    "inner-product",
    "matmul",
    "batchnorm",
    "layernorm",
    "instancenorm",
    "groupnorm",
    "prelu",
)
_KEEPS_NO_DTYPE = ("cast", "argmax", "opaque", "where", "gather", "dropout")


def import_model(source: Source, check_weights: bool = True) -> Graph:
    """The graph of an ONNX model.

    Args:
        source: path, serialized bytes or ModelProto (which is not changed).
        check_weights: refuse NaN and infinity in the weights of convolutions, matrix products and normalizations.

    Raises:
        InputError: Q0101 to Q0110, see ``quantforge explain``.
        UnsupportedError: Q0105 or Q0116, the opset cannot be upgraded or is newer than the installed onnx.
    """
    loaded = load_model(source)
    version = check_opset(loaded.model, loaded.name)
    body = _body(loaded)
    inputs = named_inputs(_graph_inputs(loaded))
    _fold(body, loaded, inputs)
    if 0 < version < WORKING_OPSET:
        _upgrade(body, loaded, version)
        _fold(body, loaded, inputs)
    graph = _translate(body, loaded, inputs)
    if check_weights:
        _refuse_non_finite(graph, loaded.name)
    return graph


def _body(loaded: LoadedModel) -> Body:
    model = loaded.model
    if model.functions:
        model = loaded.model = inliner.inline_selected_functions(model, list(OPERATORS), exclude=True)
    opsets = {("" if is_default_domain(o.domain) else o.domain): int(o.version) for o in model.opset_import}
    known = {node.domain for node in model.graph.node if (node.domain, node.op_type) in OPERATORS}
    opsets = {**dict.fromkeys(known, 1), **opsets}  # the original tool forgets to import its own domain
    outputs = tuple(output.name for output in model.graph.output)
    body = Body(list(model.graph.node), dict(loaded.arrays), outputs, opsets, int(model.ir_version))
    check_body(body, (proto.name for proto in model.graph.input), loaded.name)
    for node, name in zip(body.nodes, _unique_names(body.nodes), strict=True):
        node.name = name
    if not model.functions:  # a file of the original tool: its operators are known all the same
        functions = vitis_functions(body.nodes, body.consts, opsets.get("", WORKING_OPSET))
        model.functions.extend(functions)
    return body


def _graph_inputs(loaded: LoadedModel) -> list[Any]:
    return [proto for proto in loaded.model.graph.input if proto.name not in loaded.arrays]


def _upgrade(body: Body, loaded: LoadedModel, version: int) -> None:
    """Rewrite nodes older than the opset that the kind table speaks (after folding, when most ranks are known)."""
    taken = set(body.consts) | {name for node in body.nodes for name in (*node.input, *node.output)}
    upgrade = Upgrade(version, WORKING_OPSET, body.types, loaded.name, taken)
    body.nodes = upgrade_nodes(body.nodes, upgrade)
    body.consts |= upgrade.consts
    body.opsets = {**body.opsets, "": WORKING_OPSET}


def _fold(body: Body, loaded: LoadedModel, inputs: list[Any]) -> None:
    """Fold to a fixed point."""
    for _ in range(_MAX_ROUNDS):
        body.types = infer_types(body, inputs, loaded.model.functions)
        if not fold_once(body):
            break
    body.types = infer_types(body, inputs, loaded.model.functions)
    body.count_reads()


def _translate(body: Body, loaded: LoadedModel, inputs: Iterable[Any]) -> Graph:
    model = loaded.model
    values: dict[str, Value] = {}
    for proto in inputs:
        kind = body.types[proto.name]
        values[proto.name] = Value(proto.name, kind.shape, kind.dtype)
    graph = Graph(
        model.graph.name or "graph", values.values(), (), values, body.outputs, _native_model(body, loaded)
    )
    names = _unique_names(body.nodes)
    for node, name in zip(body.nodes, names, strict=True):
        _add_op(graph, node, name, body)
    for output in body.outputs:
        if not graph.has_value(output):
            graph.set_value(_const_value(output, body.consts[output]))
    return graph


def _native_model(body: Body, loaded: LoadedModel) -> NativeModel:
    model = loaded.model
    return NativeModel(
        opsets=dict(body.opsets),
        ir_version=body.ir_version,
        producer=(model.producer_name, model.producer_version),
        domain=model.domain,
        model_version=int(model.model_version),
        doc_string=model.doc_string,
        metadata={entry.key: entry.value for entry in model.metadata_props},
        inputs={proto.name: proto for proto in _graph_inputs(loaded)},
        outputs={proto.name: proto for proto in model.graph.output},
        functions=tuple(f for f in model.functions if (f.domain, f.name) not in OPERATORS),
        folder=str(loaded.folder or ""),
    )


def _unique_names(nodes: Iterable[Any]) -> list[str]:
    """Node names, with `OpType_index` for missing ones and a suffix for repeated ones."""
    nodes = list(nodes)
    taken = {node.name for node in nodes}
    used: set[str] = set()
    names = []
    for index, node in enumerate(nodes):
        stem = name = node.name or f"{node.op_type}_{index}"
        count = 0
        while name in used or (name != node.name and name in taken):
            count += 1
            name = f"{stem}_{count}"
        used.add(name)
        names.append(name)
    return names


def _add_op(graph: Graph, node: Any, name: str, body: Body) -> None:
    mapped = kind_of(node, body)
    native = _native_node(node, mapped, body)
    inputs = [node.input[index] for index in mapped.data] + list(native.captured)
    for position, index in enumerate(mapped.data):
        if index in mapped.consts:
            fresh = _fresh_const(graph, body, inputs[position])
            graph.set_value(_const_value(fresh, mapped.consts[index]))
            inputs[position] = fresh
    for value in inputs:
        if value and not graph.has_value(value):
            graph.set_value(_const_value(value, body.consts[value]))
    outputs = _outputs(graph, node, name, mapped, body)
    for value in outputs:
        graph.set_value(_typed_value(graph, value, mapped, inputs, body))
    origin = Origin((node.name,) if node.name else (), None, None if mapped.consts else native)
    graph.add_op(Op(mapped.kind, name, tuple(inputs), outputs, dict(mapped.attrs), origin))


def _native_node(node: Any, mapped: Mapped, body: Body) -> NativeNode:
    static = {
        index: body.consts[name]
        for index, name in enumerate(node.input)
        if name and index not in mapped.data and name in body.consts
    }
    return NativeNode(node, mapped.data, static, captured_names(node))


def _fresh_const(graph: Graph, body: Body, stem: str) -> str:
    count = 1
    while (
        graph.has_value(f"{stem}_{count}")
        or f"{stem}_{count}" in body.reads
        or f"{stem}_{count}" in body.consts
    ):
        count += 1
    return f"{stem}_{count}"


def _outputs(graph: Graph, node: Any, name: str, mapped: Mapped, body: Body) -> tuple[str, ...]:
    """Output names; kinds other than split and opaque have one. An unnamed one gets a name."""
    listed = list(node.output) if mapped.kind in ("opaque", "split") else list(node.output[:1])
    while listed and not listed[-1]:
        listed.pop()
    return tuple(value or graph.fresh_name(f"{name}_unused_{index}") for index, value in enumerate(listed))


def _typed_value(graph: Graph, value: str, mapped: Mapped, inputs: list[str], body: Body) -> Value:
    kind = body.types.get(value)
    shape, dtype = (kind.shape, kind.dtype) if kind is not None else (None, UNKNOWN)
    if dtype == UNKNOWN and mapped.kind not in _KEEPS_NO_DTYPE:
        known = (graph.value(name).dtype for name in inputs if name)
        dtype = next((d for d in known if d not in (UNKNOWN, NOT_A_TENSOR)), UNKNOWN)
    return Value(value, shape, dtype)


def _const_value(name: str, array: Array) -> Value:
    dtype = STRING if array.dtype == object else str(array.dtype.name)
    return Value(name, tuple(int(d) for d in array.shape), dtype, array)


def _refuse_non_finite(graph: Graph, model: str) -> None:
    """Weights must be numbers: quantizing NaN or infinity would poison every scale silently."""
    seen: set[str] = set()
    for op in graph.ops:
        if not any(word in op.kind for word in _WEIGHTED):
            continue
        for name in op.inputs:
            array = graph.value(name).const if name and name not in seen else None
            seen.add(name)
            if array is not None and array.dtype.kind == "f" and not _is_finite(array):
                bad = int(array.size - np.count_nonzero(np.isfinite(array)))
                raise InputError(
                    "Q0110",
                    f"{model}: initializer {name!r} of node {op.name!r}",
                    f"{bad} of {array.size} numbers NaN or infinite",
                    "finite weights",
                    "retrain or repair these weights; the float model itself is broken here",
                )


def _is_finite(array: Array) -> bool:
    with np.errstate(all="ignore"):
        # One reduction instead of a mask as large as the weights; overflow of the sum asks the mask after all.
        return bool(np.isfinite(array.sum())) or bool(np.isfinite(array).all())

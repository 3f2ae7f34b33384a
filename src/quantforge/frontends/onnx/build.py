"""`Graph` to ONNX nodes, without serializing weights: the part that `emit` and `run` share.

Ops that still have their native node are copied from it, with current names and with their static parameters
under the original initializer names; ops that a pass made or changed are lowered from their kind. Values that
carry a `QuantSpec` get QuantizeLinear and DequantizeLinear (`qdq`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import lower, pairs, qdq
from quantforge.frontends.onnx.bfp_nodes import bfp_functions
from quantforge.frontends.onnx.block_functions import store_functions
from quantforge.frontends.onnx.fold import TensorType, captured_names
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.onnx.native import NOT_A_TENSOR, UNKNOWN, NativeModel, NativeNode, element_type
from quantforge.frontends.onnx.upgrade import Upgrade, upgrade_nodes
from quantforge.frontends.onnx.vitis_functions import CONTRIB, VAI, least_opset_of, vitis_functions
from quantforge.graph import Array, Graph, Op, Value
from quantforge.graph.quantize import fake_quantize_value
from quantforge.ops.fake_quantize import KIND

_DEFAULT_OPSET = 17
_METADATA_IR = 10  # NodeProto.metadata_props exists from here on
_FUNCTIONS_IR = 8  # and ModelProto.functions from here on


@dataclass
class Built:
    """A model without initializers, and the initializers as arrays (shared with the graph, never copied)."""

    model: Any
    arrays: dict[str, Array]


@dataclass
class _Builder:
    graph: Graph
    opset: int
    annotate: bool
    ir_version: int
    form: Form = Form.QDQ
    nodes: list[Any] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)  # value -> tensor that its consumers read
    made: dict[str, str] = field(default_factory=dict)  # value -> tensor that its producer makes
    taken: set[str] = field(default_factory=set)

    def constant(self, stem: str, array: Array) -> str:
        """A new initializer called like `stem`."""
        name, count = stem, 0
        while name in self.taken:
            count += 1
            name = f"{stem}_{count}"
        self.taken.add(name)
        self.arrays[name] = array
        return name

    def static(self, name: str, array: Array) -> str:
        """An initializer that the native model called `name`; a new one when that now holds other data."""
        known = self.arrays.get(name)
        if known is not None and (known is array or _equal(known, array)):
            return name
        if known is None and not self.graph.has_value(name):
            self.taken.add(name)
            self.arrays[name] = array
            return name
        return self.constant(name, array)

    def add(self, nodes: Iterable[Any], **notes: str) -> None:
        """Append nodes; `notes` say what made them."""
        for node in nodes:
            if self.annotate and notes:
                self._annotate(node, notes)
            self.nodes.append(node)

    def _annotate(self, node: Any, notes: Mapping[str, str]) -> None:
        if self.ir_version >= _METADATA_IR:
            known = {entry.key: entry for entry in node.metadata_props}
            for key, value in notes.items():
                entry = known.get(f"quantforge.{key}") or node.metadata_props.add()
                entry.key, entry.value = f"quantforge.{key}", value
        elif not node.doc_string:
            node.doc_string = "quantforge: " + ", ".join(f"{key}={value}" for key, value in notes.items())


def build(graph: Graph, annotate: bool = True, value_info: bool = True, form: Form = Form.QDQ) -> Built:
    """The ONNX form of `graph`.

    Args:
        graph: any graph whose ops have native nodes or kinds that ONNX can express.
        annotate: record on every made node what made it.
        value_info: list the types of intermediate values.
        form: which nodes stand for the specs of values.
    """
    native = graph.native if isinstance(graph.native, NativeModel) else NativeModel({"": _DEFAULT_OPSET}, 0)
    source = native.opsets.get("", 0)
    opset = needed_opset(graph, form)
    opsets = {**native.opsets, "": opset} if opset else dict(native.opsets)
    standard = [helper.make_opsetid("", opset)] if opset else []
    ir_version = max(native.ir_version, int(helper.find_min_ir_version_for(standard)) if standard else 8, 7)
    builder = _Builder(graph, opset, annotate, ir_version, form)
    _write(builder, native, source)
    functions = [
        *store_functions(graph, opset),
        *vitis_functions(builder.nodes, builder.arrays, opset),
        *bfp_functions(builder.nodes, opset),
    ]
    opsets |= {function.domain: 1 for function in functions if function.domain not in opsets}
    used = {node.domain for node in builder.nodes}
    imports = [
        helper.make_opsetid(domain, version)
        for domain, version in opsets.items()
        if domain in used or domain not in (VAI, CONTRIB)  # specs may stand where their operators were
    ]
    model = helper.make_model(
        helper.make_graph(
            builder.nodes,
            graph.name or "graph",
            [_value_info(graph.value(name), native.inputs) for name in graph.inputs],
            [_value_info(graph.value(name), native.outputs) for name in graph.outputs],
            value_info=_inner_types(graph) if value_info else [],
        ),
        opset_imports=imports,
        functions=[*native.functions, *functions],
        ir_version=max(ir_version, _FUNCTIONS_IR) if functions else ir_version,
        producer_name=native.producer[0],
        producer_version=native.producer[1],
        domain=native.domain,
        model_version=native.model_version,
        doc_string=native.doc_string,
    )
    return Built(model, builder.arrays)


def needed_opset(graph: Graph, form: Form = Form.QDQ) -> int:
    """The opset in which `graph` is written: its own, or a newer one that an operator or a format needs.

    Raises:
        UnsupportedError: Q0602 to Q0604, Q0610 for a spec that the form cannot express.
    """
    source = graph.native.opsets.get("", 0) if isinstance(graph.native, NativeModel) else _DEFAULT_OPSET
    needs = [lower.least_opset(op) for op in graph.ops if _native(op) is None or op.kind == KIND]
    needs += [least_opset_of(op) for op in graph.ops if op.kind == "opaque"]
    return max([source, *needs, pairs.least_opset(graph.quantized(), form)])


def _write(builder: _Builder, native: NativeModel, source: int) -> None:
    graph = builder.graph
    _name_values(builder)
    for name in graph.inputs:
        _quantize_activation(builder, graph.value(name))
    types = {value.name: TensorType(value.shape, value.dtype) for value in graph.values}
    for op in graph.ops:
        for name in dict.fromkeys(op.inputs):
            if name:
                _write_constant(builder, graph.value(name))
        record = _native(op)
        notes = {} if op.origin.made_by is None else {"made_by": op.origin.made_by}
        if record is None:
            builder.add(_lowered(builder, op), **notes)
        else:
            node = _renamed(builder, op, record)
            upgrade = Upgrade(source, builder.opset, types, graph.name, builder.taken)
            builder.add(upgrade_nodes([node], upgrade) if builder.opset > source else [node], **notes)
            builder.arrays |= upgrade.consts
        for name in op.outputs:
            _quantize_activation(builder, graph.value(name))
    for name in graph.outputs:
        _write_constant(builder, graph.value(name))


def _name_values(builder: _Builder) -> None:
    """Decide which tensor stands for each value on its producer's side and on its consumers' side."""
    graph = builder.graph
    inputs, outputs = set(graph.inputs), set(graph.outputs)
    builder.taken = {value.name for value in graph.values}
    for value in graph.values:
        builder.made[value.name] = builder.read[value.name] = value.name
        if value.quant is None:
            continue
        if value.is_const:
            if pairs.is_stored(graph, value, builder.form):
                builder.read[value.name] = pairs.constant_names(value, builder.form).read
        elif graph.consumers(value.name) or value.name in outputs:
            names = qdq.activation_names(value.name, value.name in inputs, value.name in outputs)
            builder.made[value.name], builder.read[value.name] = names.made, names.read
        for name in (builder.made[value.name], builder.read[value.name]):
            if name != value.name and name in builder.taken:
                raise InputError(
                    "Q0607", value.name, f"a tensor called {name!r}", "free names", "rename that tensor"
                )
            builder.taken.add(name)


def _quantize_activation(builder: _Builder, value: Value) -> None:
    made, read = builder.made[value.name], builder.read[value.name]
    if value.quant is not None and made != read:
        nodes = pairs.activation_nodes(value, qdq.QdqNames(made, read), builder.constant, builder.form)
        builder.add(nodes, made_by=qdq.MADE_BY, tensor=value.name, format=str(value.quant.format))


def _write_constant(builder: _Builder, value: Value) -> None:
    """The initializer for a constant, once; with its DequantizeLinear when it is quantized."""
    if value.const is None or value.name in builder.arrays:
        return
    if value.quant is None or value.name in builder.graph.outputs:
        builder.arrays[value.name] = value.const
        return
    if not pairs.is_stored(builder.graph, value, builder.form):
        builder.arrays[value.name] = np.asarray(fake_quantize_value(value.const, value.quant, value.name))
        return
    stored, read = pairs.constant_names(value, builder.form).made, builder.read[value.name]
    if stored not in builder.arrays:

        def make(stem: str, array: Array) -> str:
            if stem != value.name:
                return builder.constant(stem, array)
            builder.arrays[stem] = array  # a constant of the graph keeps its name
            return stem

        nodes = pairs.constant_nodes(value, qdq.QdqNames(stored, read), make, builder.form)
        builder.add(nodes, made_by=qdq.MADE_BY, tensor=value.name, format=str(value.quant.format))


def _native(op: Op) -> NativeNode | None:
    """The native record, as long as the op still has the arity it had."""
    record = op.origin.native
    if isinstance(record, NativeNode) and len(op.inputs) == len(record.data) + len(record.captured):
        return record
    return None


def _renamed(builder: _Builder, op: Op, record: NativeNode) -> Any:
    """A copy of the native node with current names."""
    node = NodeProto()
    node.CopyFrom(record.proto)
    node.name = op.name
    inputs = list(record.proto.input)
    for position, index in enumerate(record.data):
        name = op.inputs[position]
        inputs[index] = builder.read[name] if name else ""
    for index, array in record.static.items():
        inputs[index] = builder.static(record.proto.input[index], array)
    del node.input[:], node.output[:]
    node.input.extend(inputs)
    node.output.extend(builder.made[name] for name in op.outputs)
    outer = dict(zip(record.captured, op.inputs[len(record.data) :], strict=True))
    renames = {old: builder.read[new] for old, new in outer.items() if builder.read[new] != old}
    if renames:
        rename_captured(node, renames)
    return node


def rename_captured(node: Any, renames: Mapping[str, str]) -> None:
    """Make the subgraphs of `node` read outer values under their new names."""
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else list(attribute.graphs):
            own = {v.name for v in graph.input} | {t.name for t in graph.initializer}
            own |= {name for inner in graph.node for name in inner.output}
            here = {old: new for old, new in renames.items() if old not in own}
            for inner in graph.node:
                inner.input[:] = [here.get(name, name) for name in inner.input]
                if captured_names(inner):
                    rename_captured(inner, here)
            for output in graph.output:
                output.name = here.get(output.name, output.name)


def _lowered(builder: _Builder, op: Op) -> list[Any]:
    return lower.lower(
        lower.Lowering(
            op,
            [builder.read[name] if name else "" for name in op.inputs],
            [builder.made[name] for name in op.outputs],
            builder.graph.input_values(op),
            builder.opset,
            builder.constant,
        )
    )


def _value_info(value: Value, known: Mapping[str, Any]) -> Any:
    """The model's own type of an input or output, when it has one."""
    proto = known.get(value.name)
    return proto if proto is not None and proto.type.WhichOneof("value") else _type_of(value)


def _type_of(value: Value) -> Any:
    if value.dtype in (UNKNOWN, NOT_A_TENSOR):
        return helper.make_empty_tensor_value_info(value.name)
    return helper.make_tensor_value_info(value.name, element_type(value.dtype), value.shape)


def _inner_types(graph: Graph) -> list[Any]:
    """Types of real-valued tensors, for viewers and compilers; runtimes infer the rest themselves."""
    ends = {*graph.inputs, *graph.outputs}
    inner = (graph.value(name) for op in graph.ops for name in op.outputs if name not in ends)
    return [_type_of(value) for value in inner if value.is_float and value.shape is not None]


def _equal(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and bool(np.array_equal(a, b))

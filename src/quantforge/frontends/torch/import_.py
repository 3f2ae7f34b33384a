"""A torch module to `Graph`.

Export, give every call a stable name, fold what depends on constants alone, and translate call by call. What no rule
expresses becomes opaque and runs in torch. Parameters are shared with the module, never copied; a parameter that two
modules share stays one constant.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import fx
from torch.export.graph_signature import (
    ConstantArgument,
    InputKind,
    OutputKind,
    SymIntArgument,
    TensorArgument,
)
from torch.utils import _pytree as pytree

from quantforge.diagnostics import InputError
from quantforge.frontends.torch.capture import capture
from quantforge.frontends.torch.custom_ops import custom_op, is_custom
from quantforge.frontends.torch.kinds import is_known, rule_of
from quantforge.frontends.torch.names import Namer, packet_name, scopes_of
from quantforge.frontends.torch.native import (
    NOT_A_TENSOR,
    Fixed,
    NativeCall,
    NativeModule,
    Ref,
    Size,
    dtype_name,
    shape_of,
    symbol_of,
)
from quantforge.frontends.torch.provenance import Provenance
from quantforge.frontends.torch.scope import Stubs, begins_scope, keep_float_inputs, outside_ops
from quantforge.frontends.torch.sources import source_lines
from quantforge.frontends.torch.uniform import UniformFolder
from quantforge.frontends.torch.view import CallView, NotExpressibleError
from quantforge.frontends.torch.wrappers import class_name
from quantforge.graph import Array, Graph, Op, Origin, Value

_LARGEST_FOLDED = 1 << 24  # elements of a constant that folding may make
_CONSTANTS = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
_BATCH = "batch"


def import_module(
    module: torch.nn.Module, example_inputs: Any, example_kwargs: Mapping[str, Any] | None = None
) -> Graph:
    """The graph of a torch module.

    Args:
        module: Any module that `torch.export` can follow; it is not changed.
        example_inputs: A tensor, or a tuple or list of positional arguments. Only shapes and dtypes count; the
            first axis is left open where the model allows it.
        example_kwargs: Named arguments.

    Raises:
        InputError: Q1401 to Q1404, see ``quantforge explain``.
    """
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            "Q1402", "module", type(module).__name__, "a torch.nn.Module", "pass the model, not its outputs"
        )
    args = tuple(example_inputs) if isinstance(example_inputs, tuple | list) else (example_inputs,)
    kwargs = dict(example_kwargs or {})
    program = capture(module, args, kwargs, is_known)
    return _Importer(class_name(module), program, len(args), tuple(kwargs)).graph()


class _Importer:
    """The state of one import."""

    def __init__(
        self, name: str, program: torch.export.ExportedProgram, positional: int, named: tuple[str, ...]
    ) -> None:
        self._name = name
        self._positional, self._named = positional, named
        self._program = program
        self._graph = Graph(name)
        self._known: dict[fx.Node, str] = {}
        self._names: dict[str, str] = {}  # symbol -> name in shapes
        self._symbols: dict[str, tuple[str, int]] = {}
        self._leaves: list[str | None] = []
        self._begins: list[str] = []  # names of QuantStubs, and of DeQuantStubs
        self._ends: list[str] = []
        self._parts: dict[
            tuple[fx.Node, Any], str
        ] = {}  # (call, index) -> value, for calls of several results
        self._rows: dict[fx.Node, str] = {}  # of tensors that are the same for every sample, one row
        self._uniforms = UniformFolder(self._constant)
        self._provenance = Provenance(lambda node: self._constant(node) is not None)
        self._kept: list[str] = []  # names of operators on positions and masks

    def graph(self) -> Graph:
        """Translate everything."""
        nodes = list(self._program.graph.nodes)
        self._placeholders([node for node in nodes if node.op == "placeholder"])
        held = [spec for spec in self._program.graph_signature.input_specs if spec.kind in _CONSTANTS]
        paths = {spec.arg.name: str(spec.target) for spec in held}
        self._namer = Namer(nodes, (value.name for value in self._graph.values), paths)
        for node in nodes:
            if node.op == "call_function":
                self._call(node)
        returned = tuple(self._returned(spec.arg, nodes) for spec in self._outputs())
        self._graph.outputs = tuple(dict.fromkeys(name for name in returned if isinstance(name, str)))
        self._graph.prune()
        call = self._program.call_spec
        self._graph.native = NativeModule(
            self._name,
            call.in_spec,
            call.out_spec,
            tuple(self._leaves),
            returned,
            dict(self._symbols),
            self._positional,
            self._named,
            self._outside(),
            source_lines(nodes),
            scopes_of(nodes),
            self._written(),
        )
        return self._graph

    def _written(self) -> tuple[str, ...]:
        """The buffers that the module writes to, which stay as they are here."""
        specs = self._program.graph_signature.output_specs
        return tuple(str(spec.target) for spec in specs if spec.kind == OutputKind.BUFFER_MUTATION)

    def _outside(self) -> tuple[str, ...]:
        """The operators that stubs keep in float."""
        stubs = Stubs(*(tuple(filter(self._graph.has_op, names)) for names in (self._begins, self._ends)))
        outside = outside_ops(self._graph, stubs)
        kept = (name for name in self._kept if self._graph.has_op(name) and name not in outside)
        return (*outside, *kept, *keep_float_inputs(self._graph, stubs, outside))

    def _placeholders(self, nodes: list[fx.Node]) -> None:
        """Graph inputs, and parameters and buffers as constants under their names in the state dict."""
        shared: dict[tuple[Any, ...], str] = {}
        inputs = []
        for node, spec in zip(nodes, self._program.graph_signature.input_specs, strict=True):
            if spec.kind in _CONSTANTS:
                self._known[node] = self._parameter(str(spec.target), shared)
            elif isinstance(spec.arg, TensorArgument):
                inputs.append(self._input(node))
                self._leaves.append(inputs[-1])
            else:
                self._leaves.append(None)
        self._graph.inputs = tuple(inputs)

    def _parameter(self, name: str, shared: dict[tuple[Any, ...], str]) -> str:
        tensor = self._program.state_dict.get(name)
        tensor = self._program.constants[name] if tensor is None else tensor
        key = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.shape, tensor.stride())
        known = shared.setdefault(key, name) if tensor.numel() else name
        if known == name:
            self._graph.set_value(constant_value(name, tensor))
        return known

    def _input(self, node: fx.Node) -> str:
        tensor = node.meta["val"]
        for axis, size in enumerate(tensor.shape):
            symbol = symbol_of(size)
            if symbol is not None and symbol not in self._symbols:
                self._symbols[symbol] = (node.name, axis)
                first = axis == 0 and _BATCH not in self._names.values()
                self._names[symbol] = _BATCH if first else symbol
        shape = shape_of(tensor, self._names)
        self._graph.set_value(Value(node.name, shape, dtype_name(tensor.dtype)))
        self._known[node] = node.name
        return node.name

    def _call(self, node: fx.Node) -> None:
        result = node.meta.get("val")
        if node.target is operator.getitem:
            source = node.args[0]
            if isinstance(source, fx.Node) and (source, node.args[1]) in self._parts:
                self._known[node] = self._parts[source, node.args[1]]
            return
        if not _has_tensors(result) or not isinstance(node.target, torch._ops.OpOverload):
            return  # sizes and checks; sizes are read where they are used
        begins = begins_scope(node.target)
        if begins is not None:
            self._mark(node, self._begins if begins else self._ends)
        elif not self._folded(node) and not self._spread(node):
            self._translate(node)

    def _mark(self, node: fx.Node, marks: list[str]) -> None:
        """A stub: an identity that marks the scope."""
        name = self._namer.layer(node)
        source = next(self._known[argument] for argument in node.all_input_nodes)
        outputs = self._value_names(node, name)
        self._set_outputs(node, outputs)
        self._graph.add_op(Op("identity", name, (source,), outputs, {}, Origin((node.name,))))
        marks.append(name)

    def _translate(self, node: fx.Node) -> None:
        name = self._namer.layer(node)
        outputs = self._value_names(node, name)
        rule, why = rule_of(node.target), "not in the table"
        view = CallView(node, self._graph, name, self._known, self._names, outputs)
        view.rows, view.is_data = self._rows, self._provenance.is_data
        if rule is not None:
            try:
                rule(view)
            except NotExpressibleError as reason:
                rule, why = None, str(reason)
        if rule is None:
            self._set_outputs(node, outputs)
            self._graph.add_op(self._opaque(node, name, outputs, why))
            return
        view.ops[-1] = _fitted(view.ops[-1])
        for value in view.values.values():
            self._graph.set_value(value)
        self._set_outputs(node, view.ops[-1].outputs)
        origin = Origin((node.name,))
        for op in view.ops:
            self._graph.add_op(Op(op.kind, op.name, op.inputs, op.outputs, op.attrs, origin))
        self._kept += view.kept if self._provenance.is_data(node) else [op.name for op in view.ops]

    def _constant(self, node: fx.Node) -> Array | None:
        """The data behind a node, where it is known."""
        return self._graph.value(self._known[node]).const if node in self._known else None

    def _spread(self, node: fx.Node) -> bool:
        """Make what is the same for every sample one constant row, and spread that for those who need all rows."""
        found = self._uniforms.fold(node)
        if found is None:
            return False
        name = self._namer.layer(node)
        row = self._graph.fresh_name(f"{name}.row")
        self._graph.set_value(constant_value(row, found.row))
        self._rows[node] = row
        outputs = self._value_names(node, name)
        self._set_outputs(node, outputs)
        size = Size(node.meta["val"].shape[found.axis].node.expr)
        sizes = [size if axis == found.axis else -1 for axis in range(found.row.ndim)]
        native = NativeCall(torch.ops.aten.expand.default, (Ref(0), sizes), {})
        attrs = {"type": "aten.expand", "domain": "torch", "why": "a size that is known only when running"}
        self._graph.add_op(Op("opaque", name, (row,), outputs, attrs, Origin((node.name,), None, native)))
        return True

    def _value_names(self, node: fx.Node, name: str) -> tuple[str, ...]:
        """One value is named like the op; several are numbered."""
        result = node.meta["val"]
        if isinstance(result, torch.Tensor):
            self._known[node] = name
            return (name,)
        names = tuple(name if index == 0 else f"{name}.{index}" for index in range(len(result)))
        self._parts.update({(node, index): part for index, part in enumerate(names)})
        return names

    def _set_outputs(self, node: fx.Node, outputs: Iterable[str]) -> None:
        result = node.meta["val"]
        results = [result] if isinstance(result, torch.Tensor) else list(result)
        for name, tensor in zip(outputs, results, strict=False):
            if isinstance(tensor, torch.Tensor):
                value = Value(name, shape_of(tensor, self._names), dtype_name(tensor.dtype))
            else:
                value = Value(name, None, NOT_A_TENSOR)
            self._graph.set_value(value)

    def _opaque(self, node: fx.Node, name: str, outputs: tuple[str, ...], why: str) -> Op:
        inputs: list[str] = []

        def template(item: Any) -> Any:
            if isinstance(item, fx.Node):
                if item in self._known:
                    inputs.append(self._known[item])
                    return Ref(len(inputs) - 1)
                item = item.meta.get("val")
            if isinstance(item, torch.SymInt):
                return Size(item.node.expr)
            return item

        args, kwargs = pytree.tree_map(template, (tuple(node.args), dict(node.kwargs)))
        if is_custom(node.target):
            return custom_op(name, tuple(inputs), outputs, args, node.name)
        nested = not isinstance(node.meta["val"], torch.Tensor)
        native = NativeCall(node.target, args, kwargs, nested)
        attrs = {"type": f"aten.{packet_name(node.target) or node.target}", "domain": "torch", "why": why}
        return Op("opaque", name, tuple(inputs), outputs, attrs, Origin((node.name,), None, native))

    def _folded(self, node: fx.Node) -> bool:
        """Compute now what depends on constants alone."""
        results = pytree.tree_leaves(node.meta["val"])
        tensors = [item for item in pytree.tree_leaves((node.args, node.kwargs)) if isinstance(item, fx.Node)]
        if _is_random(node.target) or not all(_is_small(result) for result in results):
            return False
        if any(
            item not in self._known or not self._graph.value(self._known[item]).is_const for item in tensors
        ):
            return False
        data = {item: torch.from_numpy(self._graph.value(self._known[item]).const) for item in tensors}

        def filled(item: Any) -> Any:
            return data[item] if isinstance(item, fx.Node) else item

        args, kwargs = pytree.tree_map(filled, (tuple(node.args), dict(node.kwargs)))
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        names = self._value_names(node, self._namer.layer(node))
        found = node.target(*args, **kwargs)  # type: ignore[operator]
        for name, tensor in zip(names, pytree.tree_leaves(found), strict=True):
            self._graph.set_value(constant_value(name, tensor))
        return True

    def _outputs(self) -> list[Any]:
        specs = self._program.graph_signature.output_specs
        return [spec for spec in specs if spec.kind == OutputKind.USER_OUTPUT]

    def _returned(self, arg: Any, nodes: list[fx.Node]) -> str | Fixed:
        if isinstance(arg, ConstantArgument):
            return Fixed(arg.value)
        node = next(node for node in nodes if node.name == arg.name)
        if isinstance(arg, SymIntArgument):
            return Fixed(Size(node.meta["val"].node.expr))
        return self._known[node]


def constant_value(name: str, tensor: torch.Tensor) -> Value:
    """A constant that shares the memory of `tensor` where that lies on the processor.

    Raises:
        InputError: Q1404 for dtypes that NumPy does not have.
    """
    if not is_storable(tensor):
        raise InputError(
            "Q1404", f"parameter {name!r}", str(tensor.dtype), "float32, float16, float64 or integers",
            "convert the module first, for example with module.float()",
        )  # fmt: skip
    data = tensor.detach().cpu().numpy()
    return Value(name, data.shape, data.dtype.name, data)


def is_storable(tensor: torch.Tensor) -> bool:
    """Whether NumPy has the dtype and layout of a tensor, so that the graph can hold it as a constant."""
    known = isinstance(getattr(np, dtype_name(tensor.dtype), None), type)
    return (known or tensor.dtype == torch.bool) and not (tensor.is_quantized or tensor.is_sparse)


def _fitted(op: Op) -> Op:
    """Ops of one result keep the first name of several; split keeps all."""
    return (
        op
        if op.kind == "split" or len(op.outputs) == 1
        else Op(op.kind, op.name, op.inputs, op.outputs[:1], op.attrs)
    )


def _has_tensors(result: Any) -> bool:
    items = result if isinstance(result, tuple | list) else (result,)
    return any(isinstance(item, torch.Tensor) for item in items)


def _is_small(result: Any) -> bool:
    """Whether a traced result is a tensor of known and moderate size."""
    if not isinstance(result, torch.Tensor) or not all(isinstance(size, int) for size in result.shape):
        return False
    if not is_storable(result):
        return False
    return result.numel() <= _LARGEST_FOLDED


def _is_random(target: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in target.tags

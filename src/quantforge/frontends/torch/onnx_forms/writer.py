"""Writes one opaque ATen call as ONNX nodes.

A form reads the call's arguments by their names in the schema and adds nodes as of opset 17; the writer puts them in
the opset of the model. What depends on the sizes of a run (`Size`) is computed by nodes from the shapes of the
graph's inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from onnx import helper

from quantforge.frontends.onnx.native import NativeNode, element_type
from quantforge.frontends.torch.names import packet_name
from quantforge.frontends.torch.native import NativeCall, Ref, Size
from quantforge.graph import Array, Graph, Op, Origin, Value

LAST = np.iinfo(np.int64).max
OPSET = 17
_FLOATS = ("float16", "float32", "float64")


# The first opset of operators that are younger than the oldest opset written, 13; by what they can do since then.
_SINCE = {"Trilu": 14, "GridSample": 16}
_SINCE_REDUCTION = {"add": 16, "mul": 16, "max": 18, "min": 18}
_AXES_AS_INPUT = 18  # of reductions; ReduceSum has them since 13
_GRID_MODES = 20  # linear and cubic, before that bilinear and bicubic


class NoFormError(Exception):
    """A form cannot express this call; the text says why."""


class Writer:
    """One call on its way into `graph`."""

    def __init__(
        self,
        graph: Graph,
        op: Op,
        native: NativeCall,
        symbols: Mapping[str, tuple[str, int]],
        opset: int = OPSET,
    ) -> None:
        self.graph, self.op, self.opset = graph, op, opset
        self._symbols = symbols
        self._count = 0
        self.called = packet_name(native.target) or str(native.target)
        schema = native.target._schema.arguments
        self._args: dict[str, Any] = {a.name: a.default_value for a in schema if a.has_default_value()}
        self._args |= dict(zip((a.name for a in schema), native.args, strict=False))
        self._args |= native.kwargs

    # reading

    def arg(self, name: str, default: Any = None) -> Any:
        """An argument as it stands: a number, a `Ref`, a `Size`, a list."""
        found = self._args.get(name)
        return default if found is None else found

    def first_of(self, *names: str) -> Any:
        """The first of these arguments that is given."""
        for name in names:
            if self._args.get(name) is not None:
                return self._args[name]
        return self.refuse(f"without {' or '.join(names)}")

    @property
    def source(self) -> Value:
        """The record of the tensor the call is made on."""
        return self.record(self.first_of("self", "input", "tensors", "x"))

    def record(self, item: Any) -> Value:
        """The graph's value behind a tensor argument."""
        if not isinstance(item, Ref):
            self.refuse("a number in place of a tensor")
        return self.graph.value(self.op.inputs[item.index])

    def value(self, name: str) -> str:
        """Name of the tensor of an argument."""
        return self.record(self.arg(name)).name

    def rank(self, value: Value | None = None) -> int:
        """Number of axes of a value, of `source` without one."""
        shape = (value or self.source).shape
        return self.refuse("a tensor of unknown rank") if shape is None else len(shape)

    def axis(self, name: str = "dim", default: int | None = None, value: Value | None = None) -> int:
        """An axis argument, counted from the front."""
        found = self.arg(name, default)
        if not isinstance(found, int):
            self.refuse(f"without {name}")
        return int(found) % max(self.rank(value), 1)

    def axes(self, name: str = "dim") -> tuple[int, ...]:
        """Axes counted from the front; all of them when none is named."""
        found = self.arg(name)
        if found is None or found == []:
            return tuple(range(self.rank()))
        return tuple(
            int(axis) % max(self.rank(), 1) for axis in ([found] if isinstance(found, int) else found)
        )

    def known_size(self, axis: int, value: Value | None = None) -> int:
        """The size of an axis, where it does not depend on the run."""
        shape = (value or self.source).shape or ()
        size = shape[axis]
        return (
            size if isinstance(size, int) else self.refuse(f"a size of axis {axis} that depends on the run")
        )

    @property
    def dtype(self) -> str:
        """Of the call's first result."""
        return self.graph.value(self.op.outputs[0]).dtype

    def refuse(self, why: str) -> NoReturn:
        """Give up on this call."""
        raise NoFormError(why)

    def require(self, condition: bool, otherwise: str) -> None:
        """Give up unless `condition` holds."""
        if not condition:
            self.refuse(otherwise)

    # writing

    def constant(self, data: Any, dtype: str = "int64") -> str:
        """A new constant."""
        array: Array = np.asarray(data, dtype)
        name = self._fresh("const")
        self.graph.set_value(Value(name, array.shape, array.dtype.name, array))
        return name

    def node(self, op_type: str, inputs: Sequence[str], dtype: str | None = None, **attrs: Any) -> str:
        """A node; returns the tensor it makes, of the dtype of its first input unless said."""
        name = self._fresh(op_type.lower())
        kind = dtype or self.graph.value(inputs[0]).dtype
        self.graph.set_value(Value(name, None, kind))
        self._add(op_type, inputs, (name,), attrs)
        return name

    def nodes(self, op_type: str, inputs: Sequence[str], dtypes: Sequence[str], **attrs: Any) -> list[str]:
        """A node of several results."""
        names = [self._fresh(f"{op_type.lower()}{index}") for index in range(len(dtypes))]
        for name, dtype in zip(names, dtypes, strict=True):
            self.graph.set_value(Value(name, None, dtype))
        self._add(op_type, inputs, tuple(names), attrs)
        return names

    def result(self, op_type: str, inputs: Sequence[str], **attrs: Any) -> None:
        """A node that makes the call's first result."""
        self._add(op_type, inputs, self.op.outputs[:1], attrs)

    def results(self, *names: str) -> None:
        """The call's results are these tensors, cast to the dtypes they should have."""
        for name, output in zip(names, self.op.outputs, strict=False):
            if self.graph.has_value(output):
                self._add("Identity", (self.cast(name, self.graph.value(output).dtype),), (output,), {})

    def cast(self, name: str, dtype: str) -> str:
        """The tensor in another dtype; itself when it has that."""
        if self.graph.value(name).dtype == dtype:
            return name
        return self.node("Cast", [name], dtype, to=element_type(dtype))

    def operand(self, item: Any, dtype: str) -> str:
        """A tensor, a number or a size as a tensor of `dtype`."""
        if isinstance(item, Ref):
            return self.cast(self.record(item).name, dtype)
        if isinstance(item, Size):
            scalar = self.node("Squeeze", [self.sizes([item]), self.constant([0])])
            return self.cast(scalar, dtype)
        return self.constant(item, dtype)

    def common_dtype(self, *items: Any) -> str:
        """What torch promotes tensors and numbers to."""
        tensors = [self.record(item) for item in items if isinstance(item, Ref)]
        found = (
            np.result_type(*(np.dtype(value.dtype) for value in tensors)) if tensors else np.dtype("int64")
        )
        numbers = [item for item in items if isinstance(item, bool | int | float)]
        if found.kind != "f" and any(isinstance(item, float) for item in numbers):
            return "float32"
        if found.kind == "b" and any(not isinstance(item, bool) for item in numbers):
            return "int64"
        return str(found.name)

    def sizes(self, items: Sequence[Any]) -> str:
        """Sizes as one int64 tensor [len(items)]."""
        if all(isinstance(item, int) for item in items):
            return self.constant(list(items))
        parts = [self.constant([item]) if isinstance(item, int) else self._size(item) for item in items]
        return parts[0] if len(parts) == 1 else self.node("Concat", parts, axis=0)

    def shape(self, name: str) -> str:
        """The shape of a tensor when the model runs."""
        return self.node("Shape", [name], "int64")

    def size_of(self, name: str, axis: int) -> str:
        """The size of an axis when the model runs, as a tensor [1]."""
        ends = (self.constant([axis]), self.constant([axis + 1]))
        return self.node("Slice", [self.shape(name), *ends, self.constant([0])])

    def _size(self, item: Any) -> str:
        if isinstance(item, Size):
            return self._expression(item.expression)
        if isinstance(item, Ref):
            return self.node("Reshape", [self.operand(item, "int64"), self.constant([1])])
        return self.refuse(f"a size of {item!r}")

    def _expression(self, expression: Any) -> str:
        """A SymPy expression over symbols, as a tensor [1]."""
        if expression.is_Integer:
            return self.constant([int(expression)])
        if expression.is_Symbol:
            known = self._symbols.get(str(expression))
            if known is None:
                self.refuse(f"a size {expression} that no input tells")
            return self.size_of(*known)
        op_type = {
            "Add": "Add",
            "Mul": "Mul",
            "FloorDiv": "Div",
            "CleanDiv": "Div",
            "Mod": "Mod",
            "PythonMod": "Mod",
        }.get(type(expression).__name__)
        if op_type is None:
            self.refuse(f"a size {expression}")
        first, *others = (self._expression(part) for part in expression.args)
        for other in others:
            first = self.node(op_type, [first, other])
        return first

    def _fresh(self, stem: str) -> str:
        self._count += 1
        return self.graph.fresh_name(f"{self.op.name}.{stem}{self._count}")

    def _add(
        self, op_type: str, inputs: Sequence[str], outputs: Sequence[str], attrs: Mapping[str, Any]
    ) -> None:
        inputs, attrs = self._in_opset(op_type, inputs, dict(attrs))
        name = self.graph.fresh_name(f"{outputs[0]}.node")
        proto = helper.make_node(op_type, list(inputs), list(outputs), name, **attrs)
        record = NativeNode(proto, tuple(range(len(inputs))))
        said = {"type": op_type, "domain": ""}
        origin = Origin((self.op.name,), None, record)
        self.graph.add_op(Op("opaque", name, tuple(inputs), tuple(outputs), said, origin))

    def _in_opset(
        self, op_type: str, inputs: Sequence[str], attrs: dict[str, Any]
    ) -> tuple[Sequence[str], dict[str, Any]]:
        """Inputs and attributes as the opset has them."""
        since = max(_SINCE.get(op_type, 0), _SINCE_REDUCTION.get(attrs.get("reduction", ""), 0))
        if self.opset < since:
            self.refuse(f"opset {self.opset}, while ONNX has it since {since}: ask for opset_version={since}")
        if op_type.startswith("Reduce") and "axes" in attrs and self.opset >= _AXES_AS_INPUT:
            inputs = [*inputs, self.constant(attrs.pop("axes"))]
        if op_type == "GridSample" and self.opset >= _GRID_MODES:
            attrs["mode"] = {"bilinear": "linear", "bicubic": "cubic"}.get(attrs["mode"], attrs["mode"])
        return inputs, attrs


def is_float(dtype: str) -> bool:
    """Whether a NumPy dtype name is that of real numbers."""
    return dtype in _FLOATS

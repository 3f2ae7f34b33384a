"""The xmodel while it is written: which tensor holds each value of the graph, and in which order of axes.

Moving data costs an operator in XIR, renaming axes need not. So a value whose memory is that of another one
(reshape, transpose, squeeze) becomes a `Held` with another shape and order over the same tensor, and an operator is
written only when somebody needs the value in an order that memory does not have. Opposite transposes around an
operator vanish that way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quantforge.compiler.lowering import layout
from quantforge.compiler.lowering.layout import Order, Sizes
from quantforge.compiler.lowering.specs import constant_data, fix_attrs
from quantforge.diagnostics import InternalError
from quantforge.graph import Array, Graph, Op, QuantSpec, Value
from quantforge.numerics.formats import IntFormat
from quantforge.xmodel.model import FLOAT32, Attr, Attrs, DataType, Letters, Tensor, XModel, XOp

_LETTERS: dict[str, Letters] = {"i": "INT", "u": "UINT", "f": "FLOAT"}


class NotInXirError(Exception):
    """XIR has no operator for this; the message says why."""


@dataclass(frozen=True, eq=False)
class Held:
    """A value of the graph in the xmodel.

    Attributes:
        op: The operator whose tensor it is.
        tensor: Sizes of that tensor; equal to the sizes in `order` up to a reshape that moves nothing.
        shape: Shape of the value, in the graph's order of axes.
        order: How the axes lie in memory.
        label: Name of the value, for operators that have to be written for it.
        spec: How its numbers are stored; they are on this grid already.
        lanes: For a flattened image: which element of the last axis each place in memory holds.
    """

    op: str
    tensor: Sizes
    shape: Sizes
    order: Order
    label: str
    dtype: DataType = FLOAT32
    spec: QuantSpec | None = None
    lanes: Array | None = None

    @property
    def stored(self) -> Sizes:
        """Sizes in memory, axis by axis."""
        return layout.stored(self.shape, self.order)

    def renamed(self, label: str, shape: Sizes, order: Order) -> Held:
        """The same memory as another value."""
        return replace(self, label=label, shape=shape, order=order)


class Writer:
    """Appends operators to an xmodel."""

    def __init__(self, graph: Graph, model: XModel) -> None:
        self.graph = graph
        self.model = model
        self.held: dict[str, Held] = {}
        self._reserved = {name for op in graph.ops for name in op.outputs} | set(graph.inputs)
        self._viewed: dict[tuple[str, Sizes, Order], Held] = {}
        self._constants: dict[tuple[str, str], str] = {}
        self._origin = ""

    # what rules read

    def input(self, op: Op, index: int = 0) -> Held:
        """The value behind input `index`; a constant is written as it is."""
        name = op.inputs[index]
        if name not in self.held:
            value = self.graph.value(name)
            data = constant_data(value)
            order = layout.identity(data.ndim)
            written = self.constant(value, data, "plain")
            self.held[name] = Held(
                written, tuple(data.shape) or (1,), data.shape, order, name, data_type(value), value.quant
            )
        return self.held[name]

    def placed(self, op: Op, index: int, order: Order) -> str:
        """The operator that holds input `index` in `order`; constants are written in it."""
        data = self.const(op, index)
        if data is None:
            return self.view(self.input(op, index), order).op
        form = "plain" if order == layout.identity(data.ndim) else f"axes {order}"
        return self.constant(self.graph.value(op.inputs[index]), data.transpose(order), form)

    def has(self, op: Op, index: int) -> bool:
        """Whether input `index` is given."""
        return index < len(op.inputs) and bool(op.inputs[index])

    def const(self, op: Op, index: int) -> Array | None:
        """The data of a constant input, on the grid of its spec; None when it is absent or computed."""
        if not self.has(op, index) or not self.graph.value(op.inputs[index]).is_const:
            return None
        return constant_data(self.graph.value(op.inputs[index]))

    def shape(self, name: str) -> Sizes:
        """The shape of a value, in numbers."""
        shape = self.graph.value(name).shape
        if shape is None or not all(isinstance(dim, int) for dim in shape):
            raise InternalError("Q1190", name, f"the shape {shape}", "sizes in numbers", "report this bug")
        return tuple(int(dim) for dim in shape if isinstance(dim, int))

    # what rules write

    def begin(self, op: Op) -> None:
        """Operators written from now on come from `op`."""
        self._origin = op.origin.names[0] if op.origin.names else op.name

    def emit(
        self,
        kind: str,
        name: str,
        shape: Sequence[int],
        args: Mapping[str, Sequence[str]],
        attrs: Attrs | None = None,
        dtype: DataType = FLOAT32,
    ) -> XOp:
        """Append an operator called like `name`, made unique."""
        unique = self._unique(name)
        given = {key: tuple(names) for key, names in args.items() if names}
        sizes = tuple(int(size) for size in shape) or (1,)
        written = {**(attrs or {}), "origin": Attr("string", self._origin)}
        return self.model.add(XOp(unique, kind, Tensor(unique, sizes, dtype), given, written))

    def output(
        self,
        op: Op,
        kind: str,
        args: Mapping[str, Sequence[str]],
        attrs: Attrs | None = None,
        order: Order | None = None,
        *,
        index: int = 0,
        lanes: Array | None = None,
        tensor: Sizes | None = None,
    ) -> Held:
        """Append the operator that computes output `index` of `op`, and its fix; the value is known from now on.

        `tensor` gives the sizes in memory where they are not those of the value in `order`.
        """
        name = op.outputs[index]
        shape = self.shape(name)
        placed = layout.identity(len(shape)) if order is None else order
        value = self.graph.value(name)
        self._reserved.discard(name)
        sizes = layout.stored(shape, placed) if tensor is None else tensor
        written = self.emit(kind, name, sizes, args, attrs, data_type(value))
        made = Held(written.name, written.tensor.shape, shape, placed, name, data_type(value), None, lanes)
        return self.bind(name, made)

    def bind(self, name: str, made: Held) -> Held:
        """`name` is what `made` holds, after the fix that its spec asks for."""
        value = self.graph.value(name)
        self.held[name] = replace(made, label=name)
        if value.quant is not None and value.quant != made.spec:
            self.held[name] = self._fixed(replace(made, label=name), value)
        return self.held[name]

    def rename(self, op: Op, held: Held, order: Order) -> Held:
        """The output of `op` is the memory of `held` in the terms of `order`."""
        return self.bind(op.outputs[0], held.renamed(op.outputs[0], self.shape(op.outputs[0]), order))

    def step(self, held: Held, kind: str, attrs: Attrs, shape: Sizes, order: Order, name: str) -> Held:
        """An operator that only moves data on the way to an output; what is quantized stays so."""
        sizes = layout.stored(shape, order)
        made = self.emit(kind, name, sizes, {"input": [held.op]}, attrs, held.dtype)
        moved = replace(held, op=made.name, tensor=made.tensor.shape, shape=shape, order=order)
        if held.spec is None:
            return moved
        return self._fixed(moved, Value(held.label, shape, quant=held.spec), f"{made.name}_fix")

    def view(self, held: Held, order: Order | None = None) -> Held:
        """The same value with its axes in `order` (its own without one), by a transpose or reshape where needed."""
        order = held.order if order is None else order
        if held.lanes is not None and (order != held.order or held.tensor != held.stored):
            raise InternalError(
                "Q1190", held.label, "a flattened image", "a product behind it", "report this bug"
            )
        key = (held.op, held.shape, order)
        if key not in self._viewed:
            self._viewed[key] = self._view(held, order)
        return replace(self._viewed[key], label=held.label)

    def _view(self, held: Held, order: Order) -> Held:
        target = layout.stored(held.shape, order)
        if layout.solid(held.shape, held.order) == layout.solid(held.shape, order):
            if held.tensor == (target or (1,)):
                return replace(held, order=order)
            attrs: Attrs = {"shape": int32s(target or (1,))}
            return self.step(held, "reshape", attrs, held.shape, order, self._move_name(held, "reshape"))
        whole = self.view(held)
        attrs = {"order": int32s(layout.transposition(held.order, order))}
        return self.step(whole, "transpose", attrs, held.shape, order, self._move_name(held, "transpose"))

    def constant(self, value: Value, data: Array, form: str) -> str:
        """A const operator with `data`, the constant `value` in some `form`, and its fix; written once per form."""
        key = (value.name, form)
        if key not in self._constants:
            made = self.literal(value.name, data)
            self._constants[key] = made
            if value.quant is not None:
                fixed = self.emit("fix", f"{made}_fix", data.shape, {"input": [made]}, fix_attrs(value))
                self._constants[key] = fixed.name
        return self._constants[key]

    def literal(self, name: str, data: Array) -> str:
        """A const operator with `data`."""
        array = np.ascontiguousarray(data)
        if array.size == 0:
            raise NotInXirError("an empty constant")
        if array.dtype == np.bool_:
            array = array.astype(np.uint8)
        kind = DataType(_letters(array.dtype), array.dtype.itemsize * 8)
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        attrs: Attrs = {
            "shape": int32s(array.shape or (1,)),
            "data_type": Attr("string", str(kind)),
            "data": Attr("bytes", little.tobytes()),
        }
        return self.emit("const", name, array.shape, {}, attrs, kind).name

    def _fixed(self, held: Held, value: Value, name: str | None = None) -> Held:
        """A fix behind `held`."""
        attrs = fix_attrs(value)
        fixed = self.emit("fix", name or f"{value.name}_fix", held.tensor, {"input": [held.op]}, attrs)
        return replace(held, op=fixed.name, spec=value.quant)

    def _move_name(self, held: Held, how: str) -> str:
        """A value that no operator computes yet gives its name to the first one that moves it into place."""
        free = held.label not in self.model.ops and held.label in self._reserved
        if free:
            self._reserved.discard(held.label)
            return held.label
        return f"{held.label}_{how}"

    def _unique(self, stem: str) -> str:
        name, count = stem, 0
        while not name or name in self.model.ops or name in self._reserved:
            count += 1
            name = f"{stem}_{count}"
        return name


def data_type(value: Value) -> DataType:
    """The element type of a value; booleans are stored as unsigned bytes.

    Raises:
        NotInXirError: for strings and what is no tensor.
    """
    if value.dtype == "bool":
        return DataType("UINT", 8)
    try:
        dtype = np.dtype(value.dtype)
    except TypeError:
        raise NotInXirError(f"elements of type {value.dtype}") from None
    return DataType(_letters(dtype), dtype.itemsize * 8)


def _letters(dtype: np.dtype[np.generic]) -> Letters:
    if dtype.kind not in _LETTERS:
        raise NotInXirError(f"elements of type {dtype}")
    return _LETTERS[dtype.kind]


def is_integer(spec: QuantSpec | None) -> bool:
    """Whether a spec stores integers."""
    return spec is not None and isinstance(spec.format, IntFormat)


Rule = Callable[[Writer, Op], None]


def int32(value: int) -> Attr:
    """An int32 attribute."""
    return Attr("int32", int(value))


def int32s(values: Sequence[int]) -> Attr:
    """An int32_vec attribute."""
    return Attr("int32_vec", tuple(int(value) for value in values))


def flag(value: bool) -> Attr:
    """A bool attribute."""
    return Attr("bool", bool(value))


def text(value: str) -> Attr:
    """A string attribute."""
    return Attr("string", value)


def float32(value: float) -> Attr:
    """A float attribute."""
    return Attr("float", float(value))


def float32s(values: Sequence[float]) -> Attr:
    """A float_vec attribute."""
    return Attr("float_vec", tuple(float(value) for value in values))

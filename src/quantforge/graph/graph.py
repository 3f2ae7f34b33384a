"""The graph: immutable records (`Value`, `Op`) in a small container that keeps their order and names.

Values are reached by name. An op names its inputs and outputs; an absent optional input is "". Editing means
putting a new record in place of an old one, so `Graph.copy` is cheap (records and constants are shared) and a
pass works on its own copy. Constants may be memory-mapped and are never written to.

Layouts are attributes of the op (``layout`` of activations such as "NCHW", ``weight_layout`` such as "OIHW"),
so that a pass asks for an axis by its letter and never for the framework it came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from quantforge.diagnostics import InternalError
from quantforge.graph.spec import QuantSpec

Dim = int | str | None  # a size, a named size such as "batch", or unknown
Shape = tuple[Dim, ...]
Attr = int | float | str | bool | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor: `dtype` is a NumPy dtype name ("float32"); `const` its data when known; `quant` its stored form."""

    name: str
    shape: Shape | None = None
    dtype: str = "float32"
    const: Array | None = field(default=None, repr=False)
    quant: QuantSpec | None = None

    @property
    def is_const(self) -> bool:
        """True for weights, biases and other data known before running."""
        return self.const is not None

    @property
    def is_float(self) -> bool:
        """True for real-valued tensors, the only ones that can be quantized."""
        return self.dtype in ("float32", "float64", "float16")


@dataclass(frozen=True, eq=False)
class Origin:
    """Where an op comes from: the native node `names`, the pass that made or changed it, the native record.

    `native` is opaque to everything but the door that made it, and stands for the op only as long as no pass
    changed the op's kind or attributes; such a pass sets it to None (`Op.changed`).
    """

    names: tuple[str, ...] = ()
    made_by: str | None = None
    native: Any = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Op:
    """One operation: canonical `kind`, unique `name`, value names in and out, attributes, origin."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    origin: Origin = Origin()

    def changed(self, made_by: str, **fields: Any) -> Op:
        """A copy with `fields` replaced; drops the native record when kind or attributes change."""
        native = None if {"kind", "attrs"} & fields.keys() else self.origin.native
        return replace(self, origin=replace(self.origin, made_by=made_by, native=native), **fields)


class Graph:
    """Ops in topological order, values by name, ordered input and output names."""

    def __init__(
        self,
        name: str,
        values: Iterable[Value] = (),
        ops: Iterable[Op] = (),
        inputs: Iterable[str] = (),
        outputs: Iterable[str] = (),
        native: Any = None,
    ) -> None:
        self.name = name
        self.inputs: tuple[str, ...] = tuple(inputs)
        self.outputs: tuple[str, ...] = tuple(outputs)
        self.native = native  # the door's own record of the whole model (opsets, metadata)
        self._values: dict[str, Value] = {v.name: v for v in values}
        self._ops: dict[str, Op] = {}
        self._producer: dict[str, str] = {}
        self._consumers: dict[str, list[str]] | None = None
        for op in ops:
            self.add_op(op)

    def copy(self) -> Graph:
        """A graph of its own that shares every record and constant."""
        return Graph(
            self.name, self._values.values(), self._ops.values(), self.inputs, self.outputs, self.native
        )

    # reading

    @property
    def ops(self) -> tuple[Op, ...]:
        """Ops in topological order."""
        return tuple(self._ops.values())

    @property
    def values(self) -> tuple[Value, ...]:
        """All values, constants included."""
        return tuple(self._values.values())

    def op(self, name: str) -> Op:
        """The op called `name`."""
        return self._ops[name]

    def value(self, name: str) -> Value:
        """The value called `name`."""
        return self._values[name]

    def has_value(self, name: str) -> bool:
        """Whether a value of that name exists."""
        return name in self._values

    def has_op(self, name: str) -> bool:
        """Whether an op of that name exists."""
        return name in self._ops

    def producer(self, value: str) -> Op | None:
        """The op that computes `value`; None for graph inputs and constants."""
        name = self._producer.get(value)
        return None if name is None else self._ops[name]

    def consumers(self, value: str) -> tuple[Op, ...]:
        """The ops that read `value`, in topological order, each once."""
        if self._consumers is None:
            self._consumers = {}
            for op in self._ops.values():
                for name in dict.fromkeys(op.inputs):
                    self._consumers.setdefault(name, []).append(op.name)
        return tuple(self._ops[name] for name in self._consumers.get(value, ()))

    def input_values(self, op: Op) -> list[Value | None]:
        """The op's inputs as records, None where an optional one is absent."""
        return [self._values[name] if name else None for name in op.inputs]

    def const(self, op: Op, index: int) -> Array | None:
        """The constant behind input `index` of `op`, or None when absent or computed."""
        if index >= len(op.inputs) or not op.inputs[index]:
            return None
        return self._values[op.inputs[index]].const

    def quantized(self) -> Iterator[Value]:
        """Values that carry a `QuantSpec`: the plan of this graph."""
        return (value for value in self._values.values() if value.quant is not None)

    # editing

    def set_value(self, value: Value) -> Value:
        """Add a value or put it in place of the one with its name."""
        self._values[value.name] = value
        return value

    def add_op(self, op: Op, before: str | None = None) -> Op:
        """Add `op` at the end, or just before the op called `before`."""
        if op.name in self._ops:
            raise InternalError(
                "Q0490", op.name, "a second op of this name", "unique names", "report this bug"
            )
        if before is None:
            self._ops[op.name] = op
        else:
            items = list(self._ops.items())
            at = list(self._ops).index(before)
            self._ops = dict([*items[:at], (op.name, op), *items[at:]])
        self._producer.update(dict.fromkeys(op.outputs, op.name))
        self._consumers = None
        return op

    def replace_op(self, op: Op) -> Op:
        """Put `op` in place of the one with its name, at the same position in the order."""
        for output in self._ops[op.name].outputs:
            self._producer.pop(output, None)
        self._ops[op.name] = op
        self._producer.update(dict.fromkeys(op.outputs, op.name))
        self._consumers = None
        return op

    def remove_op(self, name: str) -> None:
        """Remove an op; its outputs stay as values without a producer until `prune`."""
        for output in self._ops.pop(name).outputs:
            self._producer.pop(output, None)
        self._consumers = None

    def redirect(self, old: str, new: str) -> None:
        """Make every consumer of value `old` read `new` (graph outputs are left alone)."""
        for op in self.consumers(old):
            self._ops[op.name] = replace(op, inputs=tuple(new if name == old else name for name in op.inputs))
        self._consumers = None

    def prune(self) -> tuple[str, ...]:
        """Drop ops that no output needs and values that nothing names; returns the removed op names."""
        needed, live = set(self.outputs), []
        for op in reversed(self._ops.values()):
            if needed & set(op.outputs):
                needed.update(op.inputs)
                live.append(op.name)
        removed = tuple(name for name in self._ops if name not in set(live))
        for name in removed:
            self.remove_op(name)
        named = needed | set(self.inputs) | {o for op in self._ops.values() for o in op.outputs}
        self._values = {name: value for name, value in self._values.items() if name in named}
        return removed

    def fresh_name(self, stem: str) -> str:
        """A name that neither a value nor an op uses, equal to `stem` when that is free."""
        name, count = stem, 0
        while name in self._values or name in self._ops:
            count += 1
            name = f"{stem}_{count}"
        return name

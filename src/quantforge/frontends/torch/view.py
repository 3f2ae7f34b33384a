"""One ATen call as the rules see it: arguments by name, shapes, constants, and where to put what it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import torch
from torch import fx

from quantforge.frontends.torch.native import dtype_name, shape_of
from quantforge.graph import Array, Attr, Graph, Op, Shape, Value
from quantforge.ops.registry import spec


class NotExpressibleError(Exception):
    """A rule cannot express this call in canonical kinds; it becomes opaque."""


@dataclass
class CallView:
    """A call of an ATen operator on its way into the graph.

    `emit` collects what the call becomes; the importer takes it over when the rule succeeds. The last op emitted
    without `part` makes the call's own value.
    """

    node: fx.Node
    graph: Graph
    name: str
    known: Mapping[fx.Node, str]  # graph value of each earlier tensor
    symbols: Mapping[str, str]
    outputs: tuple[str, ...]
    ops: list[Op] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    rows: Mapping[fx.Node, str] = field(default_factory=dict)  # one row of what is the same for every sample
    kept: list[str] = field(default_factory=list)  # names of ops that stay in float
    is_data: Callable[[fx.Node], bool] = lambda node: (
        True
    )  # whether a tensor is more than positions and masks

    def __post_init__(self) -> None:
        schema = self.node.target._schema.arguments  # type: ignore[union-attr]
        self._args: dict[str, Any] = {
            argument.name: argument.default_value for argument in schema if argument.has_default_value()
        }
        self._args |= dict(zip((argument.name for argument in schema), self.node.args, strict=False))
        self._args |= self.node.kwargs

    def arg(self, name: str, default: Any = None) -> Any:
        """An argument as it stands in the call, which may be an fx node."""
        found = self._args.get(name)
        return default if found is None else found

    def has(self, name: str) -> bool:
        """Whether an optional argument is there."""
        return self._args.get(name) is not None

    def number(self, name: str, default: float | None = None) -> float:
        """A Python number."""
        found = self.arg(name, default)
        if isinstance(found, bool | int | float):
            return float(found)
        return self.refuse(f"{name} is not a number known now")

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer known now."""
        found = _as_int(self.arg(name, default))
        return self.refuse(f"{name} is not known now") if found is None else found

    def ints(self, name: str, count: int, default: int | None = None) -> tuple[int, ...]:
        """`count` integers; one stands for all."""
        found = self.arg(name)
        given = () if found is None else tuple(found) if isinstance(found, list | tuple) else (found,)
        if not given:
            self.require(default is not None, f"no {name}")
            given = (default,)
        numbers = [_as_int(item) for item in given]
        self.require(None not in numbers, f"{name} is not known now")
        whole = tuple(number for number in numbers if number is not None)
        return whole * count if len(whole) == 1 else whole

    def axes(self, name: str, rank: int) -> tuple[int, ...]:
        """Axes counted from the front; all of them when none is named."""
        found = self.arg(name)
        if found is None or (isinstance(found, list | tuple) and not found):
            return tuple(range(rank))
        return tuple(axis % max(rank, 1) for axis in self.ints(name, 1))

    def axis(self, name: str, rank: int, default: int | None = None) -> int:
        """One axis, counted from the front."""
        return self.integer(name, default) % max(rank, 1)

    def tensor(self, name: str) -> torch.Tensor:
        """The traced tensor behind an argument: shape and dtype, no data."""
        return self.traced(self.arg(name))

    def traced(self, item: Any) -> torch.Tensor:
        """The traced tensor of an fx node."""
        found = item.meta.get("val") if isinstance(item, fx.Node) else None
        return found if isinstance(found, torch.Tensor) else self.refuse(f"{item} is no tensor")

    @property
    def result(self) -> torch.Tensor:
        """The traced result; the first one of several."""
        found = self.node.meta["val"]
        first = found[0] if isinstance(found, list | tuple) else found
        return first if isinstance(first, torch.Tensor) else self.refuse("no tensor comes out")

    def shape(self, name: str) -> Shape:
        """Shape of a tensor argument, with symbols under the graph's names."""
        return shape_of(self.tensor(name), self.symbols)

    def value(self, name: str) -> str:
        """The graph value of a tensor argument."""
        return self.value_of(self.arg(name))

    def value_of(self, item: Any) -> str:
        """The graph value of an fx node."""
        if isinstance(item, fx.Node) and item in self.known:
            return self.known[item]
        return self.refuse(f"{item} is no tensor of the graph")

    def operand(self, item: Any, part: str, broadcast: bool = True) -> str:
        """The graph value of an operand, in the result's dtype; a number becomes a constant.

        Where operands `broadcast`, one row stands for what is the same for every sample.
        """
        dtype = dtype_name(self.result.dtype)
        if not isinstance(item, fx.Node):
            self.require(isinstance(item, bool | int | float), "an operand that is not known now")
            return self.constant(part, np.asarray(item, dtype))
        name = self.row_of(item) if broadcast and self._is_spread_by_others(item) else self.value_of(item)
        known = self._value(name)
        if known is None or known.dtype == dtype:
            return name
        self.require({known.dtype, dtype} <= CASTS, f"operands of {known.dtype} and {dtype}")
        if known.const is not None:
            return self.constant(part, known.const.astype(dtype))
        return self.emit("cast", [name], f"{part}.cast", to=dtype)

    def row_of(self, item: Any) -> str:
        """One row of a tensor that is the same for every sample, where it may broadcast; else its value."""
        return self.rows[item] if item in self.rows else self.value_of(item)

    def _is_spread_by_others(self, item: fx.Node) -> bool:
        """Whether a row of `item` suffices: another operand has the size along the axis that the row lacks."""
        if item not in self.rows:
            return False
        row, rank = self.graph.value(self.rows[item]).shape or (), self.result.ndim
        missing = [
            axis - self.traced(item).ndim
            for axis, size in enumerate(self.traced(item).shape)
            if not isinstance(size, int) and row[axis] == 1
        ]
        others = [
            other for other in self.node.all_input_nodes if other is not item and other not in self.rows
        ]
        shapes = [
            other.meta["val"].shape for other in others if isinstance(other.meta.get("val"), torch.Tensor)
        ]
        wanted = self.result.shape
        return all(
            any(len(shape) >= -axis and str(shape[axis]) == str(wanted[rank + axis]) for shape in shapes)
            for axis in missing
        )

    def keep_float(self, value: str) -> None:
        """The op that makes an intermediate `value` stays in float."""
        self.kept.append(value)

    def const(self, name: str) -> Array | None:
        """The data of a tensor argument, when it is a constant."""
        item = self.arg(name)
        return self.graph.value(self.known[item]).const if item in self.known else None

    def weight(self, name: str) -> Array:
        """The data of a tensor argument that has to be a constant."""
        found = self.const(name)
        return self.refuse(f"{name} is computed") if found is None else found

    def constant(self, part: str, data: Array) -> str:
        """A new constant, `<name>.<part>`."""
        return self._add(Value(self._fresh(f"{self.name}.{part}"), data.shape, str(data.dtype), data))

    def emit(self, kind: str, inputs: Sequence[str], part: str = "", /, **attrs: Attr) -> str:
        """Add an op; returns the value it makes. With `part` it is an intermediate one."""
        if not part:
            self.ops.append(Op(kind, self.name, tuple(inputs), self.outputs, attrs))
            return self.outputs[0]
        name = self._fresh(f"{self.name}.{part}")
        op = Op(kind, name, tuple(inputs), (name,), attrs)
        shape, dtype = spec(kind).infer(op, [self._value(item) for item in inputs])[0]
        self.ops.append(op)
        return self._add(Value(name, shape, dtype))

    def require(self, condition: bool, otherwise: str) -> None:
        """Refuse the call unless `condition` holds."""
        if not condition:
            self.refuse(otherwise)

    def refuse(self, reason: str) -> NoReturn:
        """Refuse the call."""
        raise NotExpressibleError(reason)

    def _value(self, name: str) -> Value | None:
        if not name:
            return None
        return self.values[name] if name in self.values else self.graph.value(name)

    def _add(self, value: Value) -> str:
        self.values[value.name] = value
        return value.name

    def _fresh(self, stem: str) -> str:
        name, count = stem, 0
        while name in self.values or self.graph.has_value(name):
            count += 1
            name = f"{stem}_{count}"
        return name


def _as_int(item: Any) -> int | None:
    """A number known now; a traced size counts when it is one."""
    if isinstance(item, fx.Node):
        item = item.meta.get("val")
    if isinstance(item, torch.SymInt):
        return int(item.node.expr) if item.node.expr.is_number else None
    return int(item) if isinstance(item, int) else None


Rule = Callable[[CallView], Any]
CASTS = {"float32", "float64", "float16", "int64", "int32", "int8", "uint8", "bool"}  # dtypes that casts know

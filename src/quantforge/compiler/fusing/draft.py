"""What the rules of fusing read and write.

A rule looks at one operator that the inspection gave to the DPU, follows it to the `fix` that ends it, and either
drafts the operators that do exactly the same on integers, or refuses with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from quantforge.compiler.grid import Grid
from quantforge.graph import Array
from quantforge.targets.dpu_records import DpuTarget
from quantforge.xmodel.model import Attr, Attrs, XModel, XOp, value_of

Args = Mapping[str, tuple[str, ...]]


class NotOnDpuError(Exception):
    """The DPU cannot do this operator exactly; the message says why."""


@dataclass(frozen=True, eq=False)
class Draft:
    """One operator to be.

    `args` names fixes of the flat model, or earlier drafts of the same cluster. `data` is given for constants.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    grid: Grid
    args: Args = field(default_factory=dict)
    attrs: Attrs = field(default_factory=dict)
    tensor: str | None = None
    data: Array | None = None


@dataclass(frozen=True, eq=False)
class Cluster:
    """Operators of the flat model that become drafts; the last draft has the value of the fix `result`.

    `moves_only` says that it is no reason to start a DPU, whatever its drafts are.
    """

    members: tuple[str, ...]
    result: str
    drafts: tuple[Draft, ...]
    moves_only: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """The fixes of the flat model that the drafts read."""
        own = {draft.name for draft in self.drafts}
        names = (name for draft in self.drafts for group in draft.args.values() for name in group)
        return tuple(name for name in dict.fromkeys(names) if name not in own)


@dataclass(frozen=True, eq=False)
class Tail:
    """What follows an operator up to its fix: the members, the activation as `nonlinear` says it, the fix."""

    members: tuple[str, ...]
    nonlinear: str
    fix: XOp
    grid: Grid


class Scene:
    """The settled flat model, its readers, the devices of its operators, and the target."""

    def __init__(
        self,
        model: XModel,
        devices: Mapping[str, str],
        target: DpuTarget,
        returned: Collection[str] = (),
    ) -> None:
        self.model = model
        self.devices = devices
        self.target = target
        self.returned = frozenset(returned)
        self.readers = model.consumers()

    def op(self, name: str) -> XOp:
        """An operator by name."""
        return self.model.ops[name]

    def fixed(self, name: str) -> Grid:
        """The grid of an argument.

        Raises:
            NotOnDpuError: When it is not quantized to signed bytes.
        """
        op = self.op(name)
        if op.kind != "fix":
            raise NotOnDpuError(f"its input {name!r} is not quantized")
        grid = Grid.of(op)
        if not grid.on_dpu:
            kind = f"{'' if grid.signed else 'un'}signed integers of {grid.bits} bits"
            raise NotOnDpuError(f"its input {name!r} holds {kind}, a DPU has signed bytes")
        return grid

    def source(self, name: str) -> XOp:
        """The operator whose numbers the fix `name` rounds."""
        return self.op(self.op(name).producers[0])

    def constant(self, name: str) -> tuple[Array, Grid] | None:
        """Integers and grid of a constant behind a fix; None when it is computed."""
        if self.op(name).kind != "fix" or self.source(name).kind != "const":
            return None
        grid = self.fixed(name)
        return grid.integers(const_data(self.source(name))), grid

    def only_reader(self, name: str) -> XOp | None:
        """The one operator that reads `name`, once; None also when the caller of the model gets it."""
        readers = self.readers[name]
        if name in self.returned or len(readers) != 1 or self.op(readers[0]).producers.count(name) != 1:
            return None
        return self.op(readers[0])

    def tail(self, name: str, activations: Mapping[str, str]) -> Tail:
        """Follow `name` over an activation to its fix.

        Args:
            name: The operator that computes.
            activations: Kinds of operators that may be fused, and the words for them.

        Raises:
            NotOnDpuError: When the fix does not come, or others read what would vanish.
        """
        members, nonlinear = [name], "NONE"
        follower = self.only_reader(name)
        if follower is not None and follower.kind in activations:
            nonlinear = activations[follower.kind]
            members.append(follower.name)
            follower = self.only_reader(follower.name)
        if follower is None or follower.kind != "fix":
            raise NotOnDpuError(self._open_end(members[-1], follower))
        grid = Grid.of(follower)
        if not grid.on_dpu:
            raise NotOnDpuError(f"its output is quantized to {grid.bits} bits, a DPU has signed bytes")
        return Tail((*members, follower.name), nonlinear, follower, grid)

    def _open_end(self, last: str, follower: XOp | None) -> str:
        if follower is None and (last in self.returned or not self.readers[last]):
            return "its output is not quantized"
        if follower is None:
            return f"its unquantized output is read by {', '.join(self.readers[last])}"
        return f"its output goes unquantized into {follower.name!r} ({follower.kind})"


Rule = Callable[[Scene, XOp], Cluster]


def const_data(op: XOp) -> Array:
    """The array of a const operator."""
    dtype = op.tensor.dtype.numpy
    if dtype is None:
        raise NotOnDpuError(f"the constant {op.name!r} is of type {op.tensor.dtype}")
    raw = value_of(op.attrs, "data", b"")
    return np.frombuffer(raw, dtype.newbyteorder("<")).reshape(op.tensor.shape)


def int32(value: int) -> Attr:
    """An int32 attribute."""
    return Attr("int32", int(value))


def int32s(values: tuple[int, ...] | list[int]) -> Attr:
    """An int32_vec attribute."""
    return Attr("int32_vec", tuple(int(value) for value in values))


def text(value: str) -> Attr:
    """A string attribute."""
    return Attr("string", value)


def flag(value: bool) -> Attr:
    """A bool attribute."""
    return Attr("bool", bool(value))

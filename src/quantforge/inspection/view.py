"""A flat model as the rules see it: `fix` operators are looked through, and it is known who reads what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from quantforge.graph import Array
from quantforge.xmodel.model import XModel, XOp

_CORRECTED = ("hard-sigmoid", "avgpool2d", "reduction_mean")
_FIX_ATTRS = ("fix_point", "bit_width", "if_signed")


@dataclass(frozen=True)
class Grid:
    """Where a fix rounds: numbers are integer * 2**-position."""

    position: int
    bits: int
    signed: bool

    @property
    def on_dpu(self) -> bool:
        """Whether a DPU has registers for it: signed bytes."""
        return self.bits == 8 and self.signed

    def __str__(self) -> str:
        return f"{'' if self.signed else 'un'}signed {self.bits} bits"


class View:
    """A flat model, float or with `fix` operators behind its values."""

    def __init__(self, model: XModel) -> None:
        self.model = model
        self.readers = model.consumers()

    @cached_property
    def quantized(self) -> bool:
        """Whether the model has fix operators."""
        return any(op.kind == "fix" for op in self.model.ops.values())

    def op(self, name: str) -> XOp:
        """An operator by name."""
        return self.model.ops[name]

    def through(self, name: str) -> XOp:
        """`name`, or what it rounds when it is a fix."""
        op = self.op(name)
        while op.kind == "fix":
            op = self.op(op.producers[0])
        return op

    def inputs(self, op: XOp, key: str = "input") -> list[XOp]:
        """What an operator reads, behind the roundings."""
        return [self.through(name) for name in op.args.get(key, ())]

    def computed(self, op: XOp) -> list[XOp]:
        """What it reads and is no constant."""
        return [source for source in self.inputs(op) if not self.is_const(source.name)]

    def is_const(self, name: str) -> bool:
        """Whether it is a constant, rounded or not."""
        return self.through(name).kind == "const"

    def const_number(self, name: str) -> float | None:
        """The one number of a constant of one element."""
        op = self.through(name)
        if op.kind != "const" or int(np.prod(op.tensor.shape)) != 1:
            return None
        data = const_data(op)
        return None if data is None else float(data.reshape(-1)[0])

    def used_by(self, name: str) -> Iterator[XOp]:
        """Who reads a value, behind its roundings."""
        for reader in self.readers[name]:
            if self.op(reader).kind == "fix":
                yield from self.used_by(reader)
            else:
                yield self.op(reader)

    def only_reader(self, name: str) -> XOp | None:
        """The one operator that reads `name`, once; a fix counts."""
        readers = self.readers[name]
        if len(readers) != 1 or self.op(readers[0]).producers.count(name) != 1:
            return None
        return self.op(readers[0])

    def chain_start(self, op: XOp) -> XOp | None:
        """The hard sigmoid or average that the product `op` with one number belongs to, in a quantized model.

        No rounding lies between them: the factor stands for the constant that a DPU has for 1/6 or 1/n.
        """
        names = op.args.get("input", ())
        if op.kind != "mul" or len(names) != 2 or not self.quantized:
            return None
        for name, other in (names, names[::-1]):
            if self.op(name).kind in _CORRECTED and self.const_number(other) is not None:
                return self.op(name) if self.only_reader(name) is op else None
        return None

    def grid(self, fix: XOp) -> Grid | None:
        """The grid of a fix; None when it does not say."""
        values = [fix.get(name) for name in _FIX_ATTRS]
        return None if any(value is None for value in values) else Grid(*values)


def const_data(op: XOp) -> Array | None:
    """The numbers of a const operator; None when the file does not hold them."""
    dtype, raw = op.tensor.dtype.numpy, op.get("data", b"")
    if dtype is None or len(raw) != dtype.itemsize * int(np.prod(op.tensor.shape)):
        return None
    return np.frombuffer(raw, dtype.newbyteorder("<")).reshape(op.tensor.shape)

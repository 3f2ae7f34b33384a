"""One device-level subgraph made ready: its operators in order, what goes in, what comes out, its constants."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.runtime.fixed import Array
from quantforge.xmodel.model import Subgraph, XModel, XOp

CONSTANTS = ("const", "const-fix")
DATA = ("data", "data-fix")


@dataclass(frozen=True, eq=False)
class Program:
    """Operators of a subgraph, producers first. `inputs` and `outputs` are the operators whose tensors cross.

    `constants` holds the data of every constant that is read, by operator name, wherever it is listed.
    """

    name: str
    device: str
    ops: tuple[XOp, ...]
    inputs: tuple[XOp, ...]
    outputs: tuple[XOp, ...]
    constants: dict[str, Array] = field(repr=False)
    records: dict[str, XOp] = field(repr=False)

    def read(self, name: str) -> XOp:
        """The operator of a name: one of these, an input or a constant."""
        return self.records[name]


def program_of(model: XModel, subgraph: Subgraph, keep: Collection[str] = ()) -> Program:
    """Collect what `subgraph` of `model` computes; operators named in `keep` are outputs whoever reads them.

    Raises:
        InputError: Q1205 for constants without data, Q1207 for operators that the model does not have.
    """
    names = list(dict.fromkeys(subgraph.all_ops()))
    missing = [name for name in names if name not in model.ops]
    if missing:
        raise InputError(
            "Q1207",
            subgraph.name,
            f"no operator {missing[0]!r}",
            "operators of the model",
            "compile it again",
        )
    inside = set(names)
    ops = tuple(op for name, op in model.ops.items() if name in inside and op.kind not in CONSTANTS)
    read = dict.fromkeys(name for op in ops for name in op.producers)
    constants = {name: constant_data(model.ops[name]) for name in read if model.ops[name].kind in CONSTANTS}
    inputs = tuple(model.ops[name] for name in read if name not in inside and name not in constants)
    records = {op.name: op for op in ops} | {name: model.ops[name] for name in read}
    outputs = _outputs(model, ops, inside, keep)
    return Program(subgraph.name, subgraph.get("device", ""), ops, inputs, outputs, constants, records)


def _outputs(model: XModel, ops: Sequence[XOp], inside: set[str], keep: Collection[str]) -> tuple[XOp, ...]:
    """Operators whose tensor is wanted, read outside, or read by nobody."""
    readers = model.consumers()
    return tuple(
        op for op in ops if op.name in keep or not set(readers[op.name]) <= inside or not readers[op.name]
    )


def constant_data(op: XOp) -> Array:
    """The array of a constant operator, in the shape and type of its tensor; read-only.

    Raises:
        InputError: Q1205 when the data is not in the file, or is not as long as the shape says.
    """
    raw, tensor = op.get("data"), op.tensor
    dtype = tensor.dtype.numpy
    if not raw:
        found = f"{op.kind} without data: the file was made by the original compiler"
        expected = "parameters kept beside the operators"
        fix = "compile the quantized model with quantforge"
        raise InputError("Q1205", op.name, found, expected, fix)
    if dtype is None or len(raw) != int(np.prod(tensor.shape)) * dtype.itemsize:
        found = f"{len(raw)} bytes"
        raise InputError("Q1205", op.name, found, f"{tensor.dtype}{list(tensor.shape)}", "compile again")
    return np.frombuffer(raw, dtype.newbyteorder("<")).reshape(tensor.shape).astype(dtype, copy=False)

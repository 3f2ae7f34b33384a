"""Operators outside the arithmetic of the graph: opaque ones (the door runs them) and casts between dtypes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantforge.diagnostics import UnsupportedError
from quantforge.graph import Array, Op, Value
from quantforge.ops.attributes import present, text
from quantforge.ops.opspec import OpSpec, Traits, TypedShape


def infer_opaque(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """Nothing is known: `infer_shapes` keeps what the door recorded."""
    return [(None, "float32") for _ in op.outputs]


def compute_opaque(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Always refuses: only the door that imported the operator can run it.

    Raises:
        UnsupportedError: Q0401.
    """
    found = f"operator {op.attrs.get('type', 'of unknown type')}, which the graph does not know"
    fix = "run the model in its own framework, or pass the interpreter an evaluator for it"
    raise UnsupportedError("Q0401", op.name, found, "an operator with a reference kernel", fix)


def infer_cast(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """The same shape in dtype `to`."""
    return [(present(op, inputs).shape, text(op, "to"))]


def compute_cast(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """To the NumPy dtype named by `to`; floats drop their fraction."""
    with np.errstate(invalid="ignore"):
        return [present(op, arrays).astype(np.dtype(text(op, "to")))]


SPECS = (
    OpSpec("opaque", Traits("float"), infer_opaque, compute_opaque),
    OpSpec("cast", Traits("float"), infer_cast, compute_cast),
)

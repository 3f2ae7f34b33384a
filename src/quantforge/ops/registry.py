"""The table of operator kinds: `spec(kind)` says everything the project knows about one."""

from __future__ import annotations

from quantforge.diagnostics import InternalError
from quantforge.ops import (
    activation,
    convolution,
    dpu_softmax,
    elementwise,
    fake_quantize,
    join,
    masked_softmax,
    matmul,
    movement,
    nonlinear,
    normalization,
    opaque,
    pad,
    pooling,
    reduction,
    resize,
)
from quantforge.ops.opspec import OpSpec, Traits

__all__ = ["KINDS", "OpSpec", "Traits", "spec"]

_FAMILIES = (
    convolution, matmul, activation, elementwise, pooling, join, movement, pad, resize, reduction, normalization,
    nonlinear, masked_softmax, dpu_softmax, opaque, fake_quantize,
)  # fmt: skip

KINDS: dict[str, OpSpec] = {row.kind: row for family in _FAMILIES for row in family.SPECS}


def spec(kind: str) -> OpSpec:
    """What is known about operators of `kind`.

    >>> spec("conv2d").traits.role
    'weighted'

    Raises:
        InternalError: Q0403 when the kind is not in the table (doors import unknown operators as "opaque").
    """
    found = KINDS.get(kind)
    if found is None:
        raise InternalError(
            "Q0403", kind, "an unknown kind of operator", "a kind of the table", "import it as opaque"
        )
    return found

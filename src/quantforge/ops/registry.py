"""The table of operator kinds: `spec(kind)` says everything the project knows about one."""

from __future__ import annotations

from collections.abc import Sequence

from quantforge.diagnostics import InternalError, UnsupportedError
from quantforge.graph import Array, Op, Value
from quantforge.ops.opspec import OpSpec, Role, Traits, TypedShape

__all__ = ["KINDS", "OpSpec", "Traits", "spec"]

_CONVOLUTIONS = tuple(
    f"{prefix}conv{rank}d"
    for prefix in ("", "depthwise-", "transposed-", "transposed-depthwise-")
    for rank in (1, 2, 3)
)
_ROLES: dict[Role, tuple[str, ...]] = {
    "weighted": (*_CONVOLUTIONS, "matmul", "inner-product"),
    "activation": ("relu", "relu6", "clip", "leaky-relu", "prelu", "hard-sigmoid", "hard-swish"),
    "elementwise": (*(f"eltwise-{name}" for name in ("add", "sub", "mul", "div", "min", "max", "pow")), "where"),
    "pool": tuple(f"{name}pool{rank}d" for name in ("max", "avg") for rank in (1, 2, 3)),
    "join": ("concat",),
    "move": (
        "reshape", "flatten", "squeeze", "unsqueeze", "transpose", "strided-slice", "split", "gather", "expand",
        "tile", "pixel-shuffle", "space-to-depth", "identity", "dropout",
    ),
    "pad": ("pad",),
    "resize": ("resize",),
    "reduce": ("reduction-mean", "reduction-sum", "reduction-max", "reduction-min"),
    "normalize": ("batchnorm", "layernorm", "instancenorm", "groupnorm", "l2-normalize"),
    "nonlinear": (
        "sigmoid", "swish", "tanh", "gelu", "elu", "selu", "mish", "softplus", "exp", "log", "sqrt", "abs", "neg",
        "reciprocal", "erf", "softmax", "log-softmax",
    ),
    "float": ("cast", "argmax", "opaque"),
}  # fmt: skip


def _infer(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    return [(None, "float32") for _ in op.outputs]


def _compute(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    raise UnsupportedError("Q0401", op.name, f"operator {op.kind}", "an operator with a kernel", "wait for it")


KINDS: dict[str, OpSpec] = {
    kind: OpSpec(kind, Traits(role), _infer, _compute) for role, kinds in _ROLES.items() for kind in kinds
}


def spec(kind: str) -> OpSpec:
    """What is known about operators of `kind`.

    >>> spec("conv2d").traits.role
    'weighted'

    Raises:
        InternalError: Q0403 when the kind is not in the table (doors import unknown operators as "opaque").
    """
    found = KINDS.get(kind)
    if found is None:
        raise InternalError("Q0403", kind, "an unknown operator kind", "a kind of the table", "import it as opaque")
    return found

"""What the project knows about one kind of operator: shapes, arithmetic, cost, and how quantization treats it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from quantforge.graph import Array, Op, Shape, Value
from quantforge.ops.integer import IntTensor

Role = Literal[
    "weighted",  # convolution, gemm, matmul: computes with weights, exact integer accumulator
    "activation",  # unary, can be fused into the operator before it: relu, clip, leaky-relu, hard-sigmoid
    "elementwise",  # add, mul and the like, with broadcasting
    "pool",
    "join",  # concat: all inputs and the output share one spec
    "move",  # moves data only: the output inherits the spec of the input
    "pad",
    "resize",
    "reduce",
    "normalize",
    "nonlinear",  # own output spec: sigmoid, softmax, tanh, gelu
    "float",  # never quantized
]

TypedShape = tuple[Shape | None, str]  # shape (None when unknown) and dtype name
Infer = Callable[[Op, Sequence[Value | None]], list[TypedShape]]
Compute = Callable[[Op, Sequence[Array | None]], list[Array]]
Integer = Callable[[Op, Sequence["IntTensor | Array | None"]], "list[IntTensor] | None"]
Macs = Callable[[Op, Sequence[Shape | None], Sequence[Shape | None]], int]


def no_integer_form(op: Op, tensors: Sequence[IntTensor | Array | None]) -> list[IntTensor] | None:
    """For operators without exact integer arithmetic: they run in float on dequantized values."""
    return None


def no_macs(op: Op, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]) -> int:
    """For operators that multiply-accumulate nothing."""
    return 0


@dataclass(frozen=True)
class Traits:
    """How quantization treats a kind.

    `weight_axes` names the letters of `weight_layout` that count output and input channels of the weights
    (input 1 of weighted operators), or is None.
    """

    role: Role
    weight_axes: tuple[str, str] | None = None


@dataclass(frozen=True)
class OpSpec:
    """One kind of operator.

    `infer` gives shape and dtype of each output, with symbolic and unknown sizes. `compute` is the float
    kernel. `integer` is the exact kernel on integers, or returns None where no exact form exists for these
    inputs. `macs` counts multiply-accumulates for known shapes; symbolic sizes count as 1 (one sample).
    """

    kind: str
    traits: Traits
    infer: Infer
    compute: Compute
    integer: Integer = no_integer_form
    macs: Macs = no_macs

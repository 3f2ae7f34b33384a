"""Sums and products of fixed-point tensors.

    ADD  F = max(fi): sum of x_i * 2**(F - fi), right shift by F - fo
    MUL  product of the x_i, right shift by (sum of fi) - fo

Operands broadcast as in NumPy; the activation comes before the one rounding. Source: the operator definitions
of XIR, UG1414. (The original's reference aligned the factors of a product like summands: not followed here.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.runtime.fixed import Array, Int64Array, fixed_of
from quantforge.runtime.kernels.finish import finish, hard_sigmoid, scale_up
from quantforge.xmodel.model import XOp

Arrays = dict[str, list[Array]]
Read = Callable[[str], XOp]


def combine(op: XOp, arrays: Arrays, read: Read) -> Int64Array:
    """eltwise-fix and depthwise-fix."""
    operands = [array.astype(np.int64) for array in arrays["input"]]
    positions = [fixed_of(read(name)).position for name in op.args["input"]]
    kind = op.get("type", "MUL" if op.kind == "depthwise-fix" else "ADD")
    if kind == "ADD":
        finest = max(positions)
        aligned = [scale_up(op, x, finest - p) for x, p in zip(operands, positions, strict=True)]
        return finish(op, np.asarray(reduce(np.add, aligned)), finest)
    if kind == "MUL":
        return finish(op, np.asarray(reduce(np.multiply, operands)), sum(positions))
    found = f"{op.kind} of type {kind!r}"
    raise InputError("Q1203", op.name, found, "ADD or MUL", "leave other arithmetic to the CPU")


def hard_sigmoid_fix(op: XOp, arrays: Arrays, read: Read) -> Int64Array:
    """A hard sigmoid of its own: 2731/16384 for 1/6."""
    position = fixed_of(read(op.args["input"][0])).position
    return hard_sigmoid(arrays["input"][0].astype(np.int64), position, fixed_of(op))

"""Why an operator's integers differ from a teacher's although both had the same inputs.

A teacher that computes in float32 and rounds in its own way may differ from a DPU's integers for three reasons:

tie     The exact result lies halfway between two integers, and both are the result of rounding it.
float   The products do not fit the 24 bits of a float32, so that the teacher's sum is off by up to
        terms * 2**-24 * (sum of the magnitudes), which reaches from the exact result to the teacher's integer.
mean    The hardware multiplies a sum by a factor such as 7/64 where the teacher divides by the count of the
        window, and that difference reaches from the one result to the other.

Everything else is unexplained.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quantforge.debugging.difference import ElementDifference
from quantforge.debugging.stage import Array
from quantforge.diagnostics import QuantforgeError
from quantforge.runtime.fixed import Read, fixed_of
from quantforge.runtime.reference import CONVOLUTIONS, evaluate
from quantforge.xmodel.model import Attr, DataType, Tensor, XOp

EXTRA_BITS = 24  # behind the binary point of the output; 8 + 24 bits are the widest integer of an engine
FLOAT32_BITS = 24
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Explanation:
    """Elements that differ on equal inputs, by reason; the first of those without one, and of those with one.

    >>> (Explanation(3, 2, 1, 0) + Explanation(1, 0, 0, 1)).different
    4
    """

    different: int
    ties: int
    floats: int
    unexplained: int
    first: ElementDifference | None = None
    example: ElementDifference | None = None
    means: int = 0

    def __add__(self, other: Explanation) -> Explanation:
        return Explanation(
            self.different + other.different,
            self.ties + other.ties,
            self.floats + other.floats,
            self.unexplained + other.unexplained,
            self.first if self.first is not None else other.first,
            self.example if self.example is not None else other.example,
            self.means + other.means,
        )


NOTHING = Explanation(0, 0, 0, 0)


@dataclass(frozen=True)
class Reasons:
    """For each element whether a tie, lost bits of a float32 or a factor explain the teacher's integer."""

    tie: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    mean: NDArray[np.bool_]


def reasons(
    teacher: Array,
    exact: FloatArray,
    low: int,
    high: int,
    slack: FloatArray | float = 0.0,
    gap: FloatArray | float = 0.0,
) -> Reasons:
    """Which of the teacher's integers follow from the exact results (in steps) within `slack` steps, or within `gap`.

    >>> found = reasons(np.array([2, 3, 3]), np.array([2.5, 2.4, 2.4999]), -128, 127, 0.001)
    >>> found.tie.tolist(), found.lost.tolist()
    ([True, False, False], [False, False, True])
    """
    clipped = np.clip(exact, low, high)
    away = np.abs(teacher - clipped)
    halfway = np.abs(exact - np.floor(exact) - 0.5) == 0
    tie = halfway & (away == 0.5)
    lost = ~tie & (away - 0.5 <= slack) & (np.asarray(slack) > 0)
    mean = ~tie & ~lost & (away - 0.5 <= gap) & (np.asarray(gap) > 0)
    return Reasons(tie, lost, mean)


def exact_steps(op: XOp, arrays: dict[str, list[Array]], read: Read) -> FloatArray | None:
    """What `op` computes before rounding, in steps of its output; None for operators that do not round.

    The operator runs with 24 more bits behind the binary point. That is exact for every shift of at most 24 bits,
    which is beyond what DPUs have; results outside the range of the output are cut a little outside of it.
    """
    found = _evaluated(widened(op, EXTRA_BITS), arrays, read)
    return None if found is None else np.ldexp(found.astype(np.float64), -EXTRA_BITS)


def float_slack(op: XOp, arrays: dict[str, list[Array]], read: Read) -> FloatArray | float:
    """How far a float32 sum may be off, in steps of the output; 0 where float32 is exact.

    The sum of magnitudes comes from the operator itself, run on absolute values without its activation.
    """
    if op.kind not in CONVOLUTIONS:
        return 0.0
    magnitudes = {arg: [np.abs(array.astype(np.int32)) for array in rows] for arg, rows in arrays.items()}
    positions = [fixed_of(read(op.args[arg][0])).position for arg in ("input", "weights")]
    bias = [fixed_of(read(name)).position for name in op.args.get("bias", ())]
    unit = max(sum(positions), *bias, 0) if bias else sum(positions)
    plain = replace(op, attrs={**op.attrs, "nonlinear": Attr("string", "NONE")})
    found = _evaluated(widened(plain, unit - fixed_of(op).position), magnitudes, read)
    if found is None:
        return 0.0
    terms = int(np.prod(arrays["weights"][0].shape[1:])) + 1
    total = found.astype(np.float64)
    off = np.where(total >= 1 << FLOAT32_BITS, total * terms * 2.0**-FLOAT32_BITS, 0.0)
    return np.ldexp(off, fixed_of(op).position - unit)


def factor_gap(op: XOp, arrays: dict[str, list[Array]], read: Read, exact: FloatArray) -> FloatArray | float:
    """How far the factor of the hardware takes a mean from the true one, in steps of the output; 0 where it does not.

    Args:
        op: The operator, with `arrays` and `read` as for `exact_steps`.
        exact: What `exact_steps` gives for it.
    """
    if op.kind != "pool-fix" or op.get("type") != "AVG" or op.get("avg_exact", False):
        return 0.0
    true = exact_steps(replace(op, attrs={**op.attrs, "avg_exact": Attr("bool", True)}), arrays, read)
    return 0.0 if true is None else np.abs(true - exact)


def _evaluated(op: XOp, arrays: dict[str, list[Array]], read: Read) -> Array | None:
    try:
        return evaluate(op, arrays, read)
    except QuantforgeError:  # an operator that copies integers refuses another fix point
        return None


def widened(op: XOp, bits: int) -> XOp:
    """An operator with so many more fractional bits in an output of 32 bits."""
    attrs = dict(op.tensor.attrs)
    attrs["fix_point"] = Attr("int32", fixed_of(op).position + bits)
    attrs["bit_width"] = Attr("int32", 32)
    attrs["if_signed"] = Attr("bool", True)
    tensor = Tensor(op.tensor.name, op.tensor.shape, DataType("XINT", 32), attrs)
    return XOp(op.name, op.kind, tensor, op.args, op.attrs)

"""The mean error of rounding numbers that lie on a grid: what ties add to the mean.

Continuous numbers round to nearest without a mean error. Numbers k * u do not: with the step s and u / s = p / q in
lowest terms the rests after the point are the multiples of 1 / q, all equally likely, and where q is even one in q
is a tie. Half up moves each tie by half a step, so that the mean rises by

    s / (2 q),    which is u / 2 for powers of two: half a unit of the last bit that is dropped.

A sum of two int8 values drops one or two bits and rises by 1/4 or 1/8 of a step, layer after layer. Half away does so
above zero, and half even leaves the mean where it is.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import prod

import numpy as np

from quantforge.graph import Graph, Op
from quantforge.numerics.rounding import Rounding, round_ratio
from quantforge.ops.channels import WEIGHTED
from quantforge.ops.pooling import dpu_factor

LARGEST = 1 << 12  # of finer rests the ties are too rare to be seen
_BESIDE_TIES = {  # mean errors of continuous numbers above and below zero, in steps
    Rounding.FLOOR: (-0.5, -0.5),
    Rounding.CEIL: (0.5, 0.5),
    Rounding.TOWARD_ZERO: (-0.5, 0.5),
}


@cache
def mean_error_of_ties(rests: int, rounding: Rounding) -> tuple[float, float]:
    """Mean error in steps of rounding positive and negative multiples of 1 / `rests`, less that of any number.

    >>> mean_error_of_ties(2, Rounding.HALF_UP), mean_error_of_ties(4, Rounding.HALF_AWAY)
    ((0.25, 0.25), (0.125, -0.125))
    >>> mean_error_of_ties(2, Rounding.HALF_EVEN)
    (0.0, 0.0)
    """
    if rests > LARGEST:
        return 0.0, 0.0
    numerators = np.arange(2 * rests)  # two steps, since half even looks at the parity
    above, below = (
        float((round_ratio(k, rests, rounding) * rests - k).sum()) / (2 * rests**2)
        for k in (numerators, -numerators)
    )
    beside = _BESIDE_TIES.get(rounding, (0.0, 0.0))
    return above - beside[0], below - beside[1]


def unit_of_result(graph: Graph, op: Op) -> Fraction | None:
    """A number of which everything that `op` computes, before it is rounded, is a whole multiple.

    None for operators of other kinds, and where an input does not lie on a grid of powers of two.
    """
    units = [_unit(graph, name) for name in (op.inputs[:2] if op.kind in WEIGHTED else op.inputs)]
    known = [unit for unit in units if unit is not None]
    if not known or len(known) < len(units):
        return None
    if op.kind in ("eltwise-add", "eltwise-sub"):
        return min(known)
    if op.kind == "eltwise-mul" or op.kind in WEIGHTED:
        return prod(known, start=Fraction(1))
    factor = _mean_factor(graph, op)
    return None if factor is None else known[0] * factor


def _unit(graph: Graph, name: str) -> Fraction | None:
    """The step of a stored value."""
    spec = graph.value(name).quant if name else None
    return None if spec is None or spec.position is None else Fraction(2) ** -spec.position


def _mean_factor(graph: Graph, op: Op) -> Fraction | None:
    """What a mean multiplies its sums by, where it is the same everywhere."""
    if not op.kind.startswith("avgpool") and op.kind != "reduction-mean":
        return None
    factor = dpu_factor(op)
    if factor is not None:
        return Fraction(factor[0], 1 << factor[1])
    count = averaged(graph, op)
    return None if count is None else Fraction(1, count)


def averaged(graph: Graph, op: Op) -> int | None:
    """How many elements each mean of an average pool or a mean over axes covers; None where sizes are open."""
    if not op.attrs.get("global") and op.kind.startswith("avgpool"):
        kernel = op.attrs.get("kernel")
        return prod(int(size) for size in kernel) if isinstance(kernel, tuple) else None
    before, after = (graph.value(name).shape for name in (op.inputs[0], op.outputs[0]))
    if before is None or after is None:
        return None
    sizes = [[dim for dim in shape if isinstance(dim, int)] for shape in (before, after)]
    if len(before) - len(sizes[0]) != len(after) - len(sizes[1]) or not prod(sizes[1]):
        return None
    return prod(sizes[0]) // prod(sizes[1])

"""Softmax of attention scores under masks.

    mask of floats     softmax(x + mask), several masks one after the other
    mask of booleans   softmax where true; where false 0, and a row without any true is 0 everywhere

A mask of floats holds 0 and numbers so low that nothing is left of a score. It is an input of its own and not added
in front, so that the scores can be stored in a range of theirs. Float: evaluated in float64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantforge.graph import Array, Op, Value
from quantforge.ops.attributes import integer, present
from quantforge.ops.opspec import OpSpec, Traits, TypedShape


def infer(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """The shape of the scores, into which masks broadcast."""
    scores = present(op, inputs)
    return [(scores.shape, scores.dtype)]


def compute(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Shares of each row along `axis`."""
    scores, axis = present(op, arrays), integer(op, "axis", -1)
    x = scores.astype(np.float64)
    kept = np.ones((), np.bool_)
    for index in range(1, len(arrays)):
        mask = present(op, arrays, index)
        if mask.dtype == np.bool_:
            kept = kept & mask
        else:
            # a sum of two lowest numbers stays the lowest, as it is in the dtype of the scores
            x = np.maximum(x + mask.astype(np.float64), np.finfo(scores.dtype).min)
    x = np.where(kept, x, np.finfo(scores.dtype).min)
    shares = np.exp(x - x.max(axis=axis, keepdims=True))
    shares = np.where(kept, shares / shares.sum(axis=axis, keepdims=True), 0.0)
    return [np.asarray(shares, scores.dtype)]


SPECS = (OpSpec("masked-softmax", Traits("nonlinear"), infer, compute),)

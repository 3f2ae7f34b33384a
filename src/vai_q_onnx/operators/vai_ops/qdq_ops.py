"""Quantization and dequantization under the original's names.

The documents import `vai_dquantize` from here before a quantized model is run, because in the original that registers
operators. Models of this package bring theirs with them, so importing it is enough and registers nothing; the
functions compute what the operators do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from quantforge.graph import Array
from quantforge.numerics.affine import dequantize, quantize
from quantforge.numerics.formats import IntFormat

__all__ = ["vai_dquantize", "vai_quantize"]


def vai_quantize(x: ArrayLike, scale: ArrayLike, zero_point: ArrayLike) -> Array:
    """saturate(round(x / scale) + zero_point) in the integer type of `zero_point`, ties to even.

    >>> vai_quantize([0.3, -9.0], 0.25, np.int8(0)).tolist()
    [1, -36]
    """
    kind = np.asarray(zero_point).dtype
    form = IntFormat(8 * kind.itemsize, signed=kind.kind == "i")
    return np.asarray(quantize(np.asarray(x, np.float32), scale, zero_point, format=form))


def vai_dquantize(x: ArrayLike, scale: ArrayLike, zero_point: ArrayLike) -> Array:
    """(x - zero_point) * scale, float32.

    >>> vai_dquantize(np.array([1, -36], np.int8), 0.25, np.int8(0)).tolist()
    [0.25, -9.0]
    """
    return np.asarray(dequantize(x, scale, zero_point))

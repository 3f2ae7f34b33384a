"""Softmax as a DPU approximates it: in bfloat16, with a polynomial for the fraction of the exponent.

    x = bf16(x held in -80..80)        t = floor(x log2 e)        r = x - t ln 2,  in 0..ln 2
    p = bf16(bf16(bf16(0.21875 r + 0.486328125) r + 1) r + 1)     near exp(r)
    e = 2**t p                         y = bf16(e / bf16(sum of e along the axis))

Between the roundings numbers are float32. No maximum is subtracted, so that very large inputs would overflow: they
are held at 80, where shares are those of equals. Near 8 inputs have steps of 1/16, and shares are off by up to 0.03.

Source: ConvertSoftmaxToDPUVersion of the ONNX quantizer of Vitis AI.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Array, Op
from quantforge.numerics.lowfloat import to_bfloat16
from quantforge.ops.activation import infer
from quantforge.ops.attributes import integer, present
from quantforge.ops.opspec import OpSpec, Traits

KIND = "dpu-softmax"
LARGEST = 80.0
LOG2_E = np.float32(1.4426950408889634)
LN_2 = np.float32(0.6931471805599453)
POLYNOMIAL = (0.21875, 0.486328125, 1.0, 1.0)  # exact in bfloat16


def dpu_exp(x: Array) -> NDArray[np.float32]:
    """The approximation of exp, elementwise."""
    held = to_bfloat16(np.clip(x.astype(np.float32), np.float32(-LARGEST), np.float32(LARGEST)))
    whole = np.floor(held * LOG2_E)
    rest = held - whole * LN_2
    power = np.full_like(rest, POLYNOMIAL[0])
    for term in POLYNOMIAL[1:]:
        power = to_bfloat16(power * rest + np.float32(term))
    return np.asarray(np.ldexp(power, whole.astype(np.int32)), np.float32)


def compute(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """Shares along `axis`."""
    x = present(op, arrays)
    powers = dpu_exp(x)
    total = powers.astype(np.float64).sum(axis=integer(op, "axis", -1), keepdims=True)
    return [to_bfloat16(powers / to_bfloat16(total)).astype(x.dtype)]


SPECS = (OpSpec(KIND, Traits("nonlinear"), infer, compute),)

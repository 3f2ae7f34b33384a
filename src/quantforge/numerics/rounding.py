"""Rounding modes, once, for floats and for integer shifts.

Sources: user guide UG1414 (Vitis AI 3.5) and the PyTorch quantizer's method numbers, given in brackets.
"""

from __future__ import annotations

from enum import Enum


class Rounding(str, Enum):
    """How a real number becomes an integer; all but the last three go to the nearest and differ at ties."""

    HALF_EVEN = "half-even"  # [8] ONNX QuantizeLinear, NumPy, Python 3
    HALF_UP = "half-up"  # [2] DPU_ROUND: floor(x + 0.5)
    HALF_DOWN = "half-down"  # [6] ties toward zero
    HALF_AWAY = "half-away"  # [3] std_round: ties away from zero
    DPU_MIXED = "dpu-mixed"  # [5] negative ties up, positive ties to even
    FLOOR = "floor"  # [4]
    CEIL = "ceil"  # [7]
    TOWARD_ZERO = "toward-zero"

    def __str__(self) -> str:
        return self.value

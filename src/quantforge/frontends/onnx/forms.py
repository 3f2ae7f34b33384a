"""The forms in which a graph with specs is written as ONNX: which operators stand for a `QuantSpec`.

All run in stock ONNX Runtime: operators outside the standard are functions inside the model (`vitis_functions`).
"""

from __future__ import annotations

from enum import Enum


class Form(str, Enum):
    """What stands for the spec of a value.

    Attributes:
        QDQ: QuantizeLinear and DequantizeLinear of the standard; Cast pairs for float16 and bfloat16; beyond 16 bits
            the operators of `VITIS`.
        QDQ_PAIRS: The same, but constants of up to 16 bits stay float32 and have a pair of their own.
        VITIS: VitisQuantizeLinear and VitisDequantizeLinear of domain com.vai.quantize, for every format; constants
            stay float32 and have a pair of their own.
        CONTRIB: The same with QuantizeLinear and DequantizeLinear of domain ai.onnx.contrib, which carry `bit_width`
            and `pos`: 8 bits and power-of-two scales.
        FIX_NEURON: One FixNeuron of domain ai.onnx.contrib instead of the pair: integers and power-of-two scales.
        QOPERATOR: Operators on integers (QLinearConv, QGemm, ...), with QDQ where there is none (`qoperator`).
    """

    QDQ = "qdq"
    QDQ_PAIRS = "qdq-pairs"
    VITIS = "vitis"
    CONTRIB = "contrib"
    FIX_NEURON = "fix-neuron"
    QOPERATOR = "qoperator"

    def __str__(self) -> str:
        return self.value

"""The enumerations of the documented surface: ONNX Runtime's own, and the two that Vitis AI added."""

from __future__ import annotations

from enum import Enum

from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType

__all__ = [
    "CalibrationDataReader",
    "CalibrationMethod",
    "PowerOfTwoMethod",
    "QuantFormat",
    "QuantType",
    "VitisQuantFormat",
    "VitisQuantType",
]


class PowerOfTwoMethod(Enum):
    """How a power-of-two scale is chosen."""

    NonOverflow = 0
    MinMSE = 1


class VitisQuantFormat(Enum):
    """Formats with the quantizer's own operators."""

    QDQ = 2
    FixNeuron = 3
    BFPFixNeuron = 4

    @staticmethod
    def from_string(format: str) -> VitisQuantFormat:
        """The member called `format`.

        >>> VitisQuantFormat.from_string("QDQ").name
        'QDQ'
        """
        return VitisQuantFormat[format]

    def __str__(self) -> str:
        return self.name


class VitisQuantType(Enum):
    """Wide types, for VitisQuantFormat.QDQ."""

    QInt16 = 3
    QUInt16 = 4
    QInt32 = 5
    QUInt32 = 6
    QFloat16 = 7
    QBFloat16 = 8

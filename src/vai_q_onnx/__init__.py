"""The ONNX quantizer of Vitis AI by its names, answered by quantforge. See docs/vai_q_onnx.md."""

from importlib.metadata import version

from vai_q_onnx.custom_library import get_library_path
from vai_q_onnx.dump_model import dump_model
from vai_q_onnx.enums import (
    CalibrationDataReader,
    CalibrationMethod,
    PowerOfTwoMethod,
    QuantFormat,
    QuantType,
    VitisQuantFormat,
    VitisQuantType,
)
from vai_q_onnx.quantize_static import quantize_static

__version__ = version("quantforge")

__all__ = [
    "CalibrationDataReader",
    "CalibrationMethod",
    "PowerOfTwoMethod",
    "QuantFormat",
    "QuantType",
    "VitisQuantFormat",
    "VitisQuantType",
    "__version__",
    "dump_model",
    "get_library_path",
    "quantize_static",
]

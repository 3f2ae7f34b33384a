"""The law of arithmetic: number formats, rounding, quantization, positions and the DPU's constants.

Pure functions over NumPy arrays; nothing here knows of graphs.
"""

from quantforge.numerics.affine import dequantize, fake_quantize, quantize
from quantforge.numerics.formats import FloatFormat, Format, IntFormat, parse_format
from quantforge.numerics.positions import affine_parameters, non_overflow_position
from quantforge.numerics.rounding import Rounding, round_array, shift_right

__all__ = [
    "FloatFormat",
    "Format",
    "IntFormat",
    "Rounding",
    "affine_parameters",
    "dequantize",
    "fake_quantize",
    "non_overflow_position",
    "parse_format",
    "quantize",
    "round_array",
    "shift_right",
]

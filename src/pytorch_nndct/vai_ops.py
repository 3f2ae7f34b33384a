"""`load_vai_ops`: operators of domain ``vai`` for onnxruntime_extensions.

Files that this package writes bring the operators with them, as functions inside the model. Registering them serves
files of the original, which hold calls only.

    session_options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

import numpy as np

from quantforge.diagnostics import Diagnostic
from quantforge.frontends.torch.vai_domain import METHODS
from quantforge.graph import Array
from quantforge.numerics.rounding import round_array

logger = logging.getLogger("pytorch_nndct")

EXTENSIONS = "onnxruntime_extensions"
_MODES = {number: mode for mode, number in METHODS.items()}


def load_vai_ops() -> bool:
    """Register ``vai::QuantizeLinear`` and ``vai::DequantizeLinear`` with onnxruntime_extensions.

    Returns:
        Whether they were registered. Where onnxruntime_extensions is not installed, notice Q1482 says that files of
        this package need nothing.
    """
    try:
        extensions: Any = importlib.import_module(EXTENSIONS)
    except ImportError:
        notice = Diagnostic(
            "Q1482", "load_vai_ops", f"no package {EXTENSIONS}",
            "it for files of the original; files of this package bring their operators",
            f"nothing for files of this package; otherwise install {EXTENSIONS}",
        )  # fmt: skip
        logger.warning("%s", notice)
        return False
    floats, whole, byte = (
        extensions.PyCustomOpDef.dt_float,
        extensions.PyCustomOpDef.dt_int32,
        extensions.PyCustomOpDef.dt_int8,
    )
    register = extensions.onnx_op
    register(
        op_type="vai::QuantizeLinear",
        inputs=[floats, whole, whole, floats, byte, byte, byte],
        outputs=[floats],
    )(quantize)
    register(op_type="vai::DequantizeLinear", inputs=[floats, floats, byte, byte], outputs=[floats])(
        dequantize
    )
    return True


def quantize(
    x: Array, valmin: Array, valmax: Array, scale: Array, zero_point: Array, method: Array, axis: Array
) -> Array:
    """round(clip(x / scale, valmin - zero_point, valmax - zero_point)) + zero_point, in float32."""
    step, zero = (_along(x, numbers, axis) for numbers in (scale, zero_point))
    held = np.clip(x / step, np.float32(_one(valmin)) - zero, np.float32(_one(valmax)) - zero)
    return np.asarray(round_array(held, _MODES[_one(method)]) + zero, np.float32)


def dequantize(x: Array, scale: Array, zero_point: Array, axis: Array) -> Array:
    """(x - zero_point) * scale, in float32."""
    return np.asarray((x - _along(x, zero_point, axis)) * _along(x, scale, axis), np.float32)


def _one(number: Array) -> int:
    return int(np.asarray(number).reshape(-1)[0])


def _along(x: Array, numbers: Array, axis: Array) -> Array:
    """One number, or a row of them along the axis of `x`."""
    array = np.asarray(numbers, np.float32)
    if array.size == 1:
        return array.reshape(())
    at = _one(axis) % max(x.ndim, 1)
    return array.reshape([-1 if dim == at else 1 for dim in range(x.ndim)])

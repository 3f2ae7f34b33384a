"""float16 and bfloat16 tensors in ONNX: Cast to the type and Cast back, which stock ONNX Runtime computes.

    x -> Clip to the largest finite numbers -> Cast to the type -> Cast to float32 -> x'

Cast rounds to nearest, ties to even. Beyond the largest finite number it gives infinity, where `numerics.lowfloat`
holds the largest number; hence the Clip. Constants are stored in the type and have the second Cast only.

Names: tensor t has nodes t_Clip, t_Cast and t_CastBack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from quantforge.graph import Array, QuantSpec
from quantforge.graph.quantize import quantize_value
from quantforge.numerics.formats import BFLOAT16, FloatFormat
from quantforge.numerics.lowfloat import largest_finite


def cast_nodes(
    name: str, made: str, read: str, format: FloatFormat, constant: Callable[[str, Array], str]
) -> list[Any]:
    """The nodes between `made`, which the producer of value `name` makes, and `read`, which its consumers read."""
    limit = np.float32(largest_finite(format))
    low, high = constant(f"{name}_min", np.asarray(-limit)), constant(f"{name}_max", np.asarray(limit))
    clipped, stored = f"{name}_Clip_Output", f"{name}_Cast_Output"
    return [
        helper.make_node("Clip", [made, low, high], [clipped], f"{name}_Clip"),
        helper.make_node("Cast", [clipped], [stored], f"{name}_Cast", to=_element_type(format)),
        _back(name, stored, read),
    ]


def cast_constant(
    name: str, made: str, read: str, data: Array, spec: QuantSpec, constant: Callable[[str, Array], str]
) -> list[Any]:
    """The Cast that reads a constant stored in its type."""
    return [_back(name, constant(made, _stored(data, spec)), read)]


def _back(name: str, stored: str, read: str) -> Any:
    return helper.make_node("Cast", [stored], [read], f"{name}_CastBack", to=TensorProto.FLOAT)


def _element_type(format: FloatFormat) -> int:
    return int(TensorProto.BFLOAT16 if format == BFLOAT16 else TensorProto.FLOAT16)


def _stored(data: Array, spec: QuantSpec) -> Array:
    stored: Array = np.asarray(quantize_value(data, spec))
    if spec.format != BFLOAT16:
        return stored
    return stored.view(helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16))

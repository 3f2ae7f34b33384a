"""QuantizeLinear and DequantizeLinear for values that carry a `QuantSpec`.

Names follow ONNX Runtime's quantizer: tensor t has nodes t_QuantizeLinear and t_DequantizeLinear and parameters
t_scale and t_zero_point; a graph output y keeps its name, and its producer then makes y_QuantizeLinear_Input;
a weight w is stored as w_quantized; an int32 bias b as b_quantized, and its DequantizeLinear makes b.

QuantizeLinear is y = saturate(round(x / scale) + zero_point) with ties to even, in the type of the zero point.
Integers narrower than the type, and narrow ranges, saturate by a Clip to the real values of their ends first,
which is exact because those ends lie on the grid. Values in float16 or bfloat16 have the form of `cast_form` instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import helper

from quantforge.diagnostics import InternalError, UnsupportedError
from quantforge.frontends.onnx.cast_form import cast_constant, cast_nodes
from quantforge.graph import Array, Graph, QuantSpec, Value
from quantforge.graph.quantize import fake_quantize_value, quantize_value
from quantforge.numerics.formats import FloatFormat, IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.ops.channels import WEIGHTED
from quantforge.ops.convolution import SAME_SCALE

WIDE_OPSET = 21  # 16-bit integers in QuantizeLinear and DequantizeLinear
MADE_BY = "quantize"


@dataclass(frozen=True)
class QdqNames:
    """The tensor names around one quantized value: what its producer makes, and what its consumers read."""

    made: str
    read: str


def least_opset(value: Value) -> int:
    """The oldest opset whose Q/DQ can store `value`."""
    if value.quant is None or isinstance(value.quant.format, FloatFormat):
        return 13
    return WIDE_OPSET if _storage(value.quant).itemsize == 2 else 13


def is_native(value: Value) -> bool:
    """Whether QuantizeLinear, DequantizeLinear and Cast can store `value`."""
    spec = spec_of(value)
    if isinstance(spec.format, FloatFormat) or spec.format.bits <= 16:
        return True
    return value.is_const and spec.format.signed and not any(spec.zero_point)


def check_tensor(value: Value) -> None:
    """Refuse tensors and roundings that no form of quantization in ONNX has.

    Raises:
        UnsupportedError: Q0603 for the tensor's type, Q0604 for the rounding.
    """
    spec = spec_of(value)
    where = f"tensor {value.name!r}"
    if value.dtype != "float32":
        raise UnsupportedError(
            "Q0603",
            where,
            f"quantization of a {value.dtype} tensor",
            "float32",
            "convert the model to float32 first",
        )
    rounds = not value.is_const and not isinstance(spec.format, FloatFormat)
    if rounds and spec.rounding is not Rounding.HALF_EVEN:
        raise UnsupportedError(
            "Q0604",
            where,
            f"activation rounding {spec.rounding}",
            "half-even, the only rounding of QuantizeLinear",
            "use a recipe with rounding half-even for ONNX, or run on the reference interpreter",
        )


def _storage(spec: QuantSpec) -> np.dtype[Any]:
    """The integer type that stores a spec; a float format has none."""
    if isinstance(spec.format, IntFormat):
        return spec.format.storage
    raise InternalError("Q0606", "spec", f"format {spec.format}", "an integer format", "report this bug")


def activation_names(name: str, is_input: bool, is_output: bool) -> QdqNames:
    """Tensor names around a quantized activation."""
    if is_output and not is_input:
        return QdqNames(f"{name}_QuantizeLinear_Input", name)
    return QdqNames(name, f"{name}_DequantizeLinear_Output")


def activation_nodes(value: Value, names: QdqNames, constant: Callable[[str, Array], str]) -> list[Any]:
    """[Clip,] QuantizeLinear and DequantizeLinear for an activation, Clip and two Casts for one in a float format."""
    spec, name = spec_of(value), value.name
    if isinstance(spec.format, FloatFormat):
        return cast_nodes(name, names.made, names.read, spec.format, constant)
    scale = constant(f"{name}_scale", _scale(spec))
    zero = constant(f"{name}_zero_point", _zero_point(spec))
    axis = {} if spec.axis is None else {"axis": spec.axis}
    source, nodes = names.made, []
    bounds = saturation_bounds(value, spec)
    if bounds is not None:
        low, high = (
            constant(f"{name}_{end}", bound) for end, bound in zip(("min", "max"), bounds, strict=True)
        )
        source = f"{name}_Clip_Output"
        nodes.append(helper.make_node("Clip", [names.made, low, high], [source], f"{name}_Clip"))
    stored = f"{name}_QuantizeLinear_Output"
    nodes += [
        helper.make_node("QuantizeLinear", [source, scale, zero], [stored], f"{name}_QuantizeLinear", **axis),
        helper.make_node(
            "DequantizeLinear", [stored, scale, zero], [names.read], f"{name}_DequantizeLinear", **axis
        ),
    ]
    return nodes


def has_integer_form(graph: Graph, value: Value) -> bool:
    """Whether a quantized constant is written as its integers and a DequantizeLinear.

    Not so a bias of more than 16 bits at another scale than that of its sum: ONNX Runtime adds the integers of such a
    bias to the sum whatever scale its DequantizeLinear says. It is written as the real numbers that it stands for.
    """
    spec = spec_of(value)
    if not _is_bias(value):
        return True
    for op in graph.consumers(value.name):
        if op.kind not in WEIGHTED or len(op.inputs) < 3 or op.inputs[2] != value.name:
            continue
        x, w = graph.value(op.inputs[0]).quant, graph.value(op.inputs[1]).quant
        if x is None or w is None:
            return False
        sums = np.float32(x.scale[0]) * np.asarray(w.scale, np.float32)
        if not np.allclose(np.asarray(spec.scale), sums, rtol=SAME_SCALE, atol=0.0):
            return False
    return True


def constant_names(value: Value) -> QdqNames:
    """Tensor names around a quantized constant: its integers, and the real values that consumers read."""
    return QdqNames(
        f"{value.name}_quantized", value.name if _is_bias(value) else f"{value.name}_DequantizeLinear_Output"
    )


def constant_nodes(value: Value, names: QdqNames, constant: Callable[[str, Array], str]) -> list[Any]:
    """DequantizeLinear for a constant, whose integers are computed here; Cast for one in a float format."""
    spec = spec_of(value)
    if isinstance(spec.format, FloatFormat):
        data = np.asarray(value.const if value.const is not None else ())
        return cast_constant(value.name, names.made, names.read, data, spec, constant)
    stem = f"{value.name}_quantized" if _is_bias(value) else value.name
    stored = np.asarray(
        quantize_value(value.const if value.const is not None else (), spec, f"tensor {value.name!r}")
    )
    inputs = [
        constant(names.made, stored.astype(_storage(spec), copy=False)),
        constant(f"{stem}_scale", _scale(spec)),
        constant(f"{stem}_zero_point", _zero_point(spec)),
    ]
    axis = {} if spec.axis is None else {"axis": spec.axis}
    return [
        helper.make_node("DequantizeLinear", inputs, [names.read], f"{value.name}_DequantizeLinear", **axis)
    ]


def has_pair(value: Value) -> bool:
    """Whether QuantizeLinear makes the integers of a constant."""
    form = spec_of(value).format
    return isinstance(form, IntFormat) and form.bits <= 16


def constant_pair(value: Value, names: QdqNames, constant: Callable[[str, Array], str]) -> list[Any]:
    """QuantizeLinear and DequantizeLinear behind a float32 constant.

    The constant keeps its numbers, unless QuantizeLinear would make other integers of them: those of formats narrower
    than their type, and of other roundings than half-even, are rounded here.
    """
    spec, data = spec_of(value), np.asarray(value.const)
    if saturates_early(spec) or spec.rounding is not Rounding.HALF_EVEN:
        data = np.asarray(fake_quantize_value(data, spec, f"tensor {value.name!r}"))
    scale = constant(f"{value.name}_scale", _scale(spec))
    zero = constant(f"{value.name}_zero_point", _zero_point(spec))
    stored, axis = f"{value.name}_QuantizeLinear_Output", {} if spec.axis is None else {"axis": spec.axis}
    rows = (
        ("QuantizeLinear", constant(names.made, data), stored),
        ("DequantizeLinear", stored, names.read),
    )
    return [
        helper.make_node(kind, [source, scale, zero], [target], f"{value.name}_{kind}", **axis)
        for kind, source, target in rows
    ]


def _is_bias(value: Value) -> bool:
    spec = spec_of(value)
    return isinstance(spec.format, IntFormat) and spec.format.bits > 16


def spec_of(value: Value) -> QuantSpec:
    """The spec of a value that has one."""
    if value.quant is None:
        raise InternalError(
            "Q0606", value.name, "a value without a spec", "a quantized value", "report this bug"
        )
    return value.quant


def _scale(spec: QuantSpec) -> Array:
    return np.asarray(spec.scale[0] if spec.axis is None else spec.scale, np.float32)


def _zero_point(spec: QuantSpec) -> Array:
    return np.asarray(spec.zero_point[0] if spec.axis is None else spec.zero_point, _storage(spec))


def saturates_early(spec: QuantSpec) -> bool:
    """Whether the range of the format ends before that of the type that stores it."""
    form, limits = spec.format, np.iinfo(_storage(spec))
    return isinstance(form, IntFormat) and (form.qmin, form.qmax) != (limits.min, limits.max)


def saturation_bounds(value: Value, spec: QuantSpec) -> tuple[Array, Array] | None:
    """Real values of the ends of the range, where the stored type reaches further; None where it does not.

    Raises:
        UnsupportedError: Q0602 for such a format with scales along an axis.
    """
    form = spec.format
    if not isinstance(form, IntFormat) or not saturates_early(spec):
        return None
    if spec.axis is not None:
        raise UnsupportedError(
            "Q0602",
            f"tensor {value.name!r}",
            f"{form} activations per axis",
            "8 or 16 bits, or one scale for the tensor",
            "use int8 or a per-tensor scale",
        )
    scale = np.float32(spec.scale[0])
    low, high = (
        np.asarray(np.float32(q - spec.zero_point[0]) * scale, np.float32) for q in (form.qmin, form.qmax)
    )
    return low, high

"""The nodes that stand for a `QuantSpec` in the forms of the ONNX quantizer of Vitis AI.

Names are those of `qdq`: tensor t has nodes t_QuantizeLinear and t_DequantizeLinear, parameters t_scale and
t_zero_point; the one FixNeuron of t is called t_DequantizeLinear. Constants stay float32 and have their nodes too.

ai.onnx.contrib knows signed integers only: an unsigned zero point moves by half the range, which changes no number.
Integers narrower than their type saturate by a Clip in front, as in `qdq`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from quantforge.diagnostics import UnsupportedError
from quantforge.frontends.onnx import vitis_functions as functions
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.onnx.qdq import QdqNames, saturation_bounds, spec_of
from quantforge.frontends.onnx.vitis_functions import CONTRIB, VAI, Uses, uses_of
from quantforge.graph import Array, QuantSpec, Value
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import BFLOAT16, FloatFormat, IntFormat
from quantforge.numerics.positions import position_of_scale
from quantforge.numerics.rounding import Rounding

_BYTE = 8


def uses_of_value(value: Value, form: Form) -> Uses:
    """What the functions have to store for this value."""
    spec = _written(spec_of(value), form)
    return uses_of(_storage(spec), len(spec.scale) > 1)


def check_expressible(value: Value, form: Form) -> None:
    """Refuse specs whose attribute `pos` would not say what the scale says.

    Raises:
        UnsupportedError: Q0610.
    """
    spec = spec_of(value)
    if form is Form.VITIS:
        return
    narrow = isinstance(spec.format, IntFormat) and (form is Form.FIX_NEURON or spec.format.bits <= _BYTE)
    if not narrow or len(spec.scale) > 1 or position_of_scale(spec.scale[0]) is None:
        many = f", {len(spec.scale)} scales" if len(spec.scale) > 1 else f", scale {spec.scale[0]:g}"
        width = "" if form is Form.FIX_NEURON else " of up to 8 bits"
        raise UnsupportedError(
            "Q0610", f"tensor {value.name!r}", f"{spec.format}{many}", f"integers{width}, one power of two as scale",
            "power-of-two scales per tensor, or form 'vitis'",
        )  # fmt: skip


def activation_nodes(
    value: Value, names: QdqNames, constant: Callable[[str, Array], str], form: Form
) -> list[Any]:
    """[Clip,] and the pair, or the one FixNeuron, between what the producer makes and what consumers read."""
    spec, source, nodes = spec_of(value), names.made, []
    bounds = saturation_bounds(value, spec) if isinstance(spec.format, IntFormat) else None
    if bounds is not None:
        ends = zip(("min", "max"), bounds, strict=True)
        low, high = (constant(f"{value.name}_{end}", bound) for end, bound in ends)
        source = f"{value.name}_Clip_Output"
        nodes.append(helper.make_node("Clip", [names.made, low, high], [source], f"{value.name}_Clip"))
    return nodes + _pair(value, QdqNames(source, names.read), constant, form)


def constant_nodes(
    value: Value, names: QdqNames, constant: Callable[[str, Array], str], form: Form
) -> list[Any]:
    """The same behind a float32 constant. What the operators would not compute alike is rounded in the constant."""
    spec, data = spec_of(value), np.asarray(value.const)
    if isinstance(spec.format, IntFormat):
        limits = np.iinfo(spec.format.storage)
        whole = (spec.format.qmin, spec.format.qmax) == (limits.min, limits.max)
        if not whole or spec.rounding is not Rounding.HALF_EVEN:
            data = np.asarray(fake_quantize_value(data, spec, value.name))
    return _pair(value, QdqNames(constant(names.made, data), names.read), constant, form)


def _pair(value: Value, names: QdqNames, constant: Callable[[str, Array], str], form: Form) -> list[Any]:
    name, spec = value.name, _written(spec_of(value), form)
    scale = constant(f"{name}_scale", _parameter(spec, spec.scale, np.dtype(np.float32)))
    zero = constant(f"{name}_zero_point", _parameter(spec, spec.zero_point, _storage(spec)))
    attributes = _attributes(spec, form)
    if form is Form.FIX_NEURON:
        inputs = [names.made, scale, zero]
        label = f"{name}_DequantizeLinear"
        return [
            helper.make_node(functions.FIX_NEURON, inputs, [names.read], label, domain=CONTRIB, **attributes)
        ]
    first, second, domain = functions.QUANTIZE, functions.DEQUANTIZE, VAI
    if form is Form.CONTRIB:
        first, second, domain = functions.NATIVE_QUANTIZE, functions.NATIVE_DEQUANTIZE, CONTRIB
    stored = f"{name}_QuantizeLinear_Output"
    rows = (
        (first, names.made, stored, "QuantizeLinear"),
        (second, stored, names.read, "DequantizeLinear"),
    )
    return [
        helper.make_node(
            kind, [source, scale, zero], [target], f"{name}_{label}", domain=domain, **attributes
        )
        for kind, source, target, label in rows
    ]


def _attributes(spec: QuantSpec, form: Form) -> dict[str, Any]:
    if form is Form.VITIS:
        return {"axis": 1 if spec.axis is None else spec.axis}
    return {"bit_width": str(spec.format.bits), "pos": str(position_of_scale(spec.scale[0]))}


def _written(spec: QuantSpec, form: Form) -> QuantSpec:
    """The spec that the nodes say: signed in domain ai.onnx.contrib."""
    unsigned = isinstance(spec.format, IntFormat) and not spec.format.signed
    if form is Form.VITIS or not unsigned:
        return spec
    half = 1 << (spec.format.bits - 1)
    signed = IntFormat(spec.format.bits)
    return replace(spec, format=signed, zero_point=tuple(zero - half for zero in spec.zero_point))


def _storage(spec: QuantSpec) -> np.dtype[Any]:
    """The type of the zero point."""
    if isinstance(spec.format, FloatFormat):
        kind = TensorProto.BFLOAT16 if spec.format == BFLOAT16 else TensorProto.FLOAT16
        narrow: np.dtype[Any] = np.dtype(helper.tensor_dtype_to_np_dtype(kind))
        return narrow
    return spec.format.storage


def _parameter(spec: QuantSpec, numbers: tuple[float, ...], dtype: np.dtype[Any]) -> Array:
    return np.asarray(numbers[0] if spec.axis is None else numbers).astype(dtype)

"""The types and formats of `quantize_static`: which number formats, which operators, which scale of the biases.

    quant_format               operators
    QuantFormat.QDQ            those of the standard; Cast pairs for float16 and bfloat16; beyond 16 bits as the next.
                               With AddQDQPairToWeight constants stay float32 in front of a pair
    QuantFormat.QOperator      on integers of 8 bits, QDQ where there is none
    VitisQuantFormat.QDQ       VitisQuantizeLinear and VitisDequantizeLinear; with UseQDQVitisCustomOps=False those of
                               domain ai.onnx.contrib, which have 8 bits and powers of two
    VitisQuantFormat.FixNeuron FixNeuron: integers and powers of two
    VitisQuantFormat.BFPFixNeuron  BFPFixNeuron: numbers that share an exponent, whatever the types (`block_formats`)

Biases of the formats of Vitis AI have a scale of their own and the wider of the two types. So have those of the
standard's where the product of two scales would be too fine for 32 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.forms import Form
from quantforge.numerics.formats import (
    BFLOAT16,
    FLOAT16,
    INT8,
    INT16,
    INT32,
    UINT8,
    UINT16,
    FloatFormat,
    Format,
    IntFormat,
)
from quantforge.quantization.recipe import BiasRule, BiasScale
from vai_q_onnx.enums import QuantFormat, QuantType, VitisQuantFormat, VitisQuantType

if TYPE_CHECKING:
    from vai_q_onnx.options import Options

_FORMATS: dict[Any, Format] = {
    QuantType.QInt8: INT8,
    QuantType.QUInt8: UINT8,
    QuantType.QInt16: INT16,
    QuantType.QUInt16: UINT16,
    VitisQuantType.QInt16: INT16,
    VitisQuantType.QUInt16: UINT16,
    VitisQuantType.QInt32: INT32,
    VitisQuantType.QUInt32: IntFormat(32, signed=False),
    VitisQuantType.QFloat16: FLOAT16,
    VitisQuantType.QBFloat16: BFLOAT16,
}
_PRODUCT_BITS = 24  # of input and weight together, whose product fits 32 bits with room to spare


def format_of(where: str, kind: Any) -> Format:
    """The number format of a `QuantType` or `VitisQuantType`.

    Raises:
        InputError: Q0702 for anything else.
    """
    try:
        return _FORMATS[kind]
    except (KeyError, TypeError):
        expected = ", ".join(dict.fromkeys(f"{type(known).__name__}.{known.name}" for known in _FORMATS))
        raise InputError("Q0702", where, repr(kind), expected, f"{where}=QuantType.QInt8") from None


def form_of(options: Options) -> Form:
    """The form that the model is written in.

    Raises:
        InputError: Q0702 for a value that is no format.
    """
    forms: dict[Any, Form] = {
        QuantFormat.QDQ: Form.QDQ_PAIRS if options.extra["AddQDQPairToWeight"] else Form.QDQ,
        QuantFormat.QOperator: Form.QOPERATOR,
        VitisQuantFormat.QDQ: Form.VITIS if options.extra["UseQDQVitisCustomOps"] else Form.CONTRIB,
        VitisQuantFormat.FixNeuron: Form.FIX_NEURON,
        VitisQuantFormat.BFPFixNeuron: Form.QDQ,  # what is left when block_formats has done its work
    }
    try:
        return forms[options.quant_format]
    except (KeyError, TypeError):
        found, expected = repr(options.quant_format), "a QuantFormat or a VitisQuantFormat"
        fix = "give all arguments behind calibration_data_reader by name: their order differs"
        raise InputError("Q0702", "quant_format", found, expected, fix) from None


def bias_rule(options: Options, activations: Format, weights: Format) -> BiasRule:
    """How biases are stored."""
    own = BiasScale.OWN if options.power_of_two else BiasScale.FLOAT
    if options.enable_dpu:
        return BiasRule(INT8, BiasScale.OWN)
    if isinstance(weights, FloatFormat):
        return BiasRule(weights)
    wider = max(weights.bits, activations.bits if isinstance(activations, IntFormat) else 0)
    if form_of(options) in (Form.VITIS, Form.CONTRIB, Form.FIX_NEURON):
        return BiasRule(IntFormat(wider), own)
    if isinstance(activations, IntFormat) and activations.bits + weights.bits > _PRODUCT_BITS:
        return BiasRule(INT32, own)
    return BiasRule(INT32, BiasScale.PRODUCT)


def check_formats(options: Options) -> None:
    """Refuse types that the format, or the device, does not have.

    Raises:
        InputError: Q0702 for a value that is no type or format, Q0704 for a combination.
    """
    form = form_of(options)
    types = {"activation_type": options.activation_type, "weight_type": options.weight_type}
    formats = {where: format_of(where, kind) for where, kind in types.items()}
    if options.enable_dpu and formats["activation_type"].bits != INT8.bits:
        expected = "activations of 8 bits"
        raise _forbidden("enable_dpu=True", f"activation_type={options.activation_type}", expected)
    if form in (Form.FIX_NEURON, Form.CONTRIB):
        where = "VitisQuantFormat.FixNeuron" if form is Form.FIX_NEURON else "UseQDQVitisCustomOps=False"
        if not options.power_of_two:
            found, expected = f"calibrate_method={options.calibrate_method}", "a PowerOfTwoMethod"
            raise _forbidden(where, found, expected)
        if options.per_channel:
            raise _forbidden(where, "per_channel=True", "one scale per tensor")
    for label, format in formats.items():
        if not _has(form, format):
            found, expected = f"{label}={types[label]}", _expected(form)
            raise _forbidden(f"quant_format={options.quant_format}", found, expected)


def _has(form: Form, format: Format) -> bool:
    if form in (Form.CONTRIB, Form.QOPERATOR):
        return isinstance(format, IntFormat) and format.bits == INT8.bits
    return form is not Form.FIX_NEURON or isinstance(format, IntFormat)


def _expected(form: Form) -> str:
    return "integers" if form is Form.FIX_NEURON else "QuantType.QInt8 or QuantType.QUInt8"


def _forbidden(where: str, found: str, expected: str) -> InputError:
    return InputError("Q0704", where, found, expected, "leave one of the two out, or VitisQuantFormat.QDQ")

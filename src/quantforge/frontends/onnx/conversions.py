"""One model file to another: between the forms of quantization, and to and from text.

Quantized models are read as a graph with specs (`absorb_qdq`) and written in another form, so what one form can say
is never lost in another. A model without specs is refused, because nothing would change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
from google.protobuf import text_format

from quantforge.diagnostics import InputError
from quantforge.files import write_atomic
from quantforge.frontends.onnx.absorb_qdq import absorb
from quantforge.frontends.onnx.channels_last import channels_last
from quantforge.frontends.onnx.emit import emit, tensor_proto
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.onnx.import_ import import_model
from quantforge.frontends.onnx.load import load_model
from quantforge.frontends.onnx.to_float32 import to_float32
from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import INT8, UINT8
from quantforge.ops.channels import WEIGHTED

_HALF = 128  # between int8 and uint8


@dataclass(frozen=True)
class Conversion:
    """What it does, in one line, and the function that reads one file and writes another."""

    summary: str
    run: Callable[[Path, Path], Path]


def convert(name: str, source: str | Path, target: str | Path) -> Path:
    """Carry out one of `CONVERSIONS`; returns the path that was written.

    Raises:
        InputError: Q0101 to Q0110 when the model cannot be read, Q0601 when the file cannot be written, Q0613 when
            the model is not quantized, Q0615 when a text is no model.
    """
    return CONVERSIONS[name].run(Path(source), Path(target))


def quantized_graph(source: Path) -> Graph:
    """The graph of a quantized model, with specs.

    Raises:
        InputError: Q0613 when there are none.
    """
    graph = absorb(import_model(source))
    if not any(graph.quantized()):
        raise InputError(
            "Q0613", str(source), "no QuantizeLinear and DequantizeLinear with constant parameters",
            "a quantized model", "quantize it first",
        )  # fmt: skip
    return graph


def without_specs(graph: Graph) -> Graph:
    """A copy in real numbers. Constants that a file stores as integers are what those stand for."""
    graph = graph.copy()
    for value in graph.values:
        if value.quant is not None:
            graph.set_value(replace(value, quant=None))
    return graph


def with_unsigned_activations(graph: Graph) -> Graph:
    """A copy in which int8 values are uint8, with zero points 128 higher: the same numbers. Weights stay int8."""
    graph = graph.copy()
    for value in graph.values:
        readers = graph.consumers(value.name)
        weights = value.is_const and all(
            op.kind in WEIGHTED and op.inputs.index(value.name) > 0 for op in readers
        )
        if value.quant is not None and value.quant.format == INT8 and not weights:
            graph.set_value(replace(value, quant=_unsigned(value.quant)))
    return graph


def _unsigned(spec: QuantSpec) -> QuantSpec:
    return replace(spec, format=UINT8, zero_point=tuple(zero + _HALF for zero in spec.zero_point))


def _in_form(form: Form) -> Callable[[Path, Path], Path]:
    return lambda source, target: emit(quantized_graph(source), target, form=form)


def _to_text(source: Path, target: Path) -> Path:
    return write_atomic(target, text_format.MessageToString(onnx.load(source), as_utf8=True))


def _from_text(source: Path, target: Path) -> Path:
    try:
        model = text_format.Parse(source.read_text("utf-8"), onnx.ModelProto())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise InputError(
            "Q0615",
            str(source),
            str(error).strip().splitlines()[0],
            "the text of an ONNX model",
            "check the path",
        ) from error
    return write_atomic(target, model.SerializeToString())


def _whole(source: Path) -> Any:
    """The model as one ModelProto, weights inside."""
    loaded = load_model(source)
    loaded.model.graph.initializer.extend(tensor_proto(name, array) for name, array in loaded.arrays.items())
    return loaded.model


CONVERSIONS = {
    "qdq-to-qop": Conversion(
        "QDQ, or operators of Vitis AI, to operators on integers.", _in_form(Form.QOPERATOR)
    ),
    "customqdq-to-qdq": Conversion("Operators of Vitis AI to those of the standard.", _in_form(Form.QDQ)),
    "remove-qdq": Conversion(
        "A quantized model to real numbers; weights are those of the file.",
        lambda source, target: emit(without_specs(quantized_graph(source)), target),
    ),
    "s8s8-to-u8s8": Conversion(
        "int8 activations to uint8 ones, the same numbers; integer kernels of most processors want these.",
        lambda source, target: emit(with_unsigned_activations(quantized_graph(source)), target),
    ),
    "fp16-to-fp32": Conversion(
        "A float16 model to float32.",
        lambda source, target: write_atomic(target, to_float32(_whole(source)).SerializeToString()),
    ),
    "nchw-to-nhwc": Conversion(
        "Inputs and outputs that are images with their channels last.",
        lambda source, target: write_atomic(target, channels_last(_whole(source))[0].SerializeToString()),
    ),
    "onnx-to-onnxtxt": Conversion("A model to the text of its protobuf.", _to_text),
    "onnxtxt-to-onnx": Conversion("The text of a protobuf to a model.", _from_text),
}

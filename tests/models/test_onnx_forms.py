"""Types and forms of the ONNX door on ResNet-20: against the reference interpreter, and against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from quantforge.frontends.onnx import import_model, to_proto
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.quantize import Result, quantize
from quantforge.graph import Array
from quantforge.ops.interpreter import Interpreter
from tests.models.test_vai_q_onnx import CIFAR, images
from tests.unit.frontends.onnx.text_models import DATA
from vai_q_onnx.enums import QuantFormat, QuantType, VitisQuantFormat, VitisQuantType
from vai_q_onnx.formats import form_of
from vai_q_onnx.options import Options, checked_extra, recipe_of

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not CIFAR.exists(), reason="../shared/data is not there"),
]
MODEL = DATA / "resnet20_cifar10.onnx"
# types, least SQNR in decibels on 32 test images, largest distance to the interpreter as a share of the range
TYPES: dict[str, tuple[Any, Any, float, float]] = {
    "W8A8": (QuantType.QInt8, QuantType.QInt8, 23, 0),
    "A16W8": (VitisQuantType.QInt16, QuantType.QInt8, 27, 1e-3),
    "A16W16": (VitisQuantType.QInt16, VitisQuantType.QInt16, 65, 1e-3),
    "A32W32": (VitisQuantType.QInt32, VitisQuantType.QUInt32, 120, 1e-6),
    "F16": (VitisQuantType.QFloat16, VitisQuantType.QFloat16, 58, 2e-3),
    "BF16": (VitisQuantType.QBFloat16, VitisQuantType.QBFloat16, 40, 8e-3),
}


def quantized(format: Any, types: str, **arguments: Any) -> Result:
    activation_type, weight_type, *_ = TYPES[types]
    options = Options(
        quant_format=format,
        activation_type=activation_type,
        weight_type=weight_type,
        extra=checked_extra(None),
        **arguments,
    )
    batches = np.split(images("train", 64), 4)
    return quantize(import_model(MODEL), batches, recipe=recipe_of(options), form=form_of(options))


def answer(proto: Any, x: Array) -> Array:
    """What the nodes say; ONNX Runtime makes no integer operators of its own."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0])


def sqnr_db(want: Array, got: Array) -> float:
    return float(10 * np.log10((want**2).sum() / ((want - got) ** 2).sum()))


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("format", [QuantFormat.QDQ, VitisQuantFormat.QDQ], ids=["native", "vitis"])
def test_types(format: Any, types: str) -> None:
    *_, least_db, distance = TYPES[types]
    result = quantized(format, types)
    onnx.checker.check_model(result.model, full_check=True)
    x = images("test", 32)
    found = answer(result.model, x)
    assert sqnr_db(answer(onnx.load(MODEL), x), found) > least_db
    graph = result.graph
    reference = Interpreter("float").session(graph, graph.outputs).run({graph.inputs[0]: x[:2]})
    # Sums of float32 products depend on their order; where a sum lies on a tie, a step of the type is the difference.
    (want,) = reference.values()
    np.testing.assert_allclose(found[:2], want, rtol=0, atol=distance * np.abs(want).max())


@pytest.mark.parametrize("enable_dpu", [False, True])
@pytest.mark.parametrize("activation_type", [QuantType.QInt8, QuantType.QUInt8], ids=str)
def test_operators_on_integers(activation_type: Any, enable_dpu: bool) -> None:
    options = Options(activation_type=activation_type, enable_dpu=enable_dpu, extra=checked_extra(None))
    result = quantize(import_model(MODEL), np.split(images("train", 64), 4), recipe=recipe_of(options))
    x = images("test", 32)
    want = answer(to_proto(result.graph), x)
    proto = to_proto(result.graph, form=Form.QOPERATOR)
    onnx.checker.check_model(proto, full_check=True)
    kinds = [node.op_type for node in proto.graph.node]
    borders = 2 if enable_dpu else 1  # the average of a DPU has no form on integers
    assert (kinds.count("QLinearConv"), kinds.count("DequantizeLinear")) == (19, borders)
    np.testing.assert_array_equal(answer(proto, x), want)


def test_fix_neuron_is_the_same_as_qdq(tmp_path: Path) -> None:
    result = quantized(VitisQuantFormat.FixNeuron, "W8A8", enable_dpu=True)
    x = images("test", 32)
    want = answer(to_proto(result.graph), x)
    np.testing.assert_array_equal(answer(result.model, x), want)

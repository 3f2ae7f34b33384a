"""Types and formats: what they become, which combinations are refused, and that every model runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import vai_q_onnx
from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.absorb_qdq import absorb
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.onnx.import_ import import_model
from quantforge.frontends.quantize import quantize as quantize_graph
from quantforge.numerics.formats import BFLOAT16, FLOAT16, INT8, INT16, INT32, IntFormat
from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.recipe import BiasRule, BiasScale
from tests.unit.frontends.onnx.text_models import model, random, run
from tests.unit.vai_q_onnx.test_quantize_static import Reader, network
from vai_q_onnx.enums import CalibrationMethod, QuantFormat, QuantType, VitisQuantFormat, VitisQuantType
from vai_q_onnx.formats import bias_rule, check_formats, form_of, format_of
from vai_q_onnx.options import Options, checked_extra, recipe_of

X = random(16, 3, 8, 8, seed=99)
UINT32 = IntFormat(32, signed=False)


def options(extra: dict[str, Any] | None = None, **arguments: Any) -> Options:
    return Options(extra=checked_extra(extra), **arguments)


@pytest.mark.parametrize(
    ("format", "extra", "form"),
    [
        (QuantFormat.QDQ, {}, Form.QDQ),
        (QuantFormat.QDQ, {"AddQDQPairToWeight": True}, Form.QDQ_PAIRS),
        (QuantFormat.QOperator, {}, Form.QOPERATOR),
        (VitisQuantFormat.QDQ, {}, Form.VITIS),
        (VitisQuantFormat.QDQ, {"UseQDQVitisCustomOps": False}, Form.CONTRIB),
        (VitisQuantFormat.FixNeuron, {"UseQDQVitisCustomOps": False}, Form.FIX_NEURON),
    ],
)
def test_every_format_is_a_form(format: Any, extra: dict[str, Any], form: Form) -> None:
    assert form_of(options(extra, quant_format=format)) is form


@pytest.mark.parametrize("kind", [*VitisQuantType, QuantType.QInt16, QuantType.QUInt8])
def test_every_type_is_a_format(kind: Any) -> None:
    found = format_of("weight_type", kind)
    assert str(found) == kind.name.removeprefix("Q").lower().replace("u8", "uint8")
    recipe = recipe_of(options(activation_type=kind, weight_type=kind))
    assert (recipe.activations.format, recipe.weights.format) == (found, found)


@pytest.mark.parametrize(
    ("where", "value"),
    [("quant_format", "QDQ"), ("activation_type", QuantFormat.QDQ), ("weight_type", "int8")],
)
def test_values_that_are_no_type_or_format(where: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"Q0702 {where}: found "):
        check_formats(options(**{where: value}))


@pytest.mark.parametrize(
    ("arguments", "activations", "weights", "rule"),
    [
        ({}, INT8, INT8, BiasRule(INT32, BiasScale.PRODUCT)),
        ({}, INT16, INT8, BiasRule(INT32, BiasScale.PRODUCT)),
        ({}, INT16, INT16, BiasRule(INT32, BiasScale.OWN)),
        ({"calibrate_method": CalibrationMethod.MinMax}, INT16, INT16, BiasRule(INT32, BiasScale.FLOAT)),
        ({}, BFLOAT16, INT8, BiasRule(INT32, BiasScale.PRODUCT)),
        ({}, INT8, FLOAT16, BiasRule(FLOAT16)),
        ({"enable_dpu": True}, INT8, INT8, BiasRule(INT8, BiasScale.OWN)),
        ({"quant_format": VitisQuantFormat.QDQ}, INT16, INT8, BiasRule(INT16, BiasScale.OWN)),
        ({"quant_format": VitisQuantFormat.FixNeuron}, INT8, INT8, BiasRule(INT8, BiasScale.OWN)),
    ],
    ids=str,
)
def test_the_scale_of_biases(arguments: Any, activations: Any, weights: Any, rule: BiasRule) -> None:
    assert bias_rule(options(**arguments), activations, weights) == rule


@pytest.mark.parametrize(
    ("extra", "arguments", "text"),
    [
        (
            {},
            {"enable_dpu": True, "activation_type": VitisQuantType.QInt16},
            "enable_dpu=True: found activation",
        ),
        (
            {},
            {"quant_format": VitisQuantFormat.FixNeuron, "calibrate_method": CalibrationMethod.MinMax},
            "FixNeuron: found calibrate_method",
        ),
        (
            {},
            {"quant_format": VitisQuantFormat.FixNeuron, "per_channel": True},
            "FixNeuron: found per_channel",
        ),
        (
            {},
            {"quant_format": VitisQuantFormat.FixNeuron, "weight_type": VitisQuantType.QFloat16},
            "FixNeuron: found weight_type=.*; expected integers",
        ),
        (
            {"UseQDQVitisCustomOps": False},
            {"quant_format": VitisQuantFormat.QDQ, "activation_type": VitisQuantType.QInt16},
            "QDQ: found activation_type=.*QInt16; expected QuantType.QInt8 or QuantType.QUInt8",
        ),
        (
            {},
            {"quant_format": QuantFormat.QOperator, "weight_type": VitisQuantType.QInt16},
            "QOperator: found weight_type",
        ),
    ],
)
def test_combinations_that_do_not_exist(extra: Any, arguments: Any, text: str) -> None:
    with pytest.raises(InputError, match=f"Q0704 .*{text}"):
        recipe_of(options(extra, **arguments))


TYPES = {
    "A16W8": (VitisQuantType.QInt16, QuantType.QInt8),
    "U16": (VitisQuantType.QUInt16, VitisQuantType.QUInt16),
    "I32": (VitisQuantType.QInt32, VitisQuantType.QInt32),
    "U32W8": (VitisQuantType.QUInt32, QuantType.QInt8),
    "F16": (VitisQuantType.QFloat16, VitisQuantType.QFloat16),
    "BF16": (VitisQuantType.QBFloat16, VitisQuantType.QBFloat16),
    "BF16W8": (VitisQuantType.QBFloat16, QuantType.QInt8),
}
LEAST_DB = {"A16W8": 33, "U16": 70, "I32": 130, "U32W8": 33, "F16": 58, "BF16": 45, "BF16W8": 32}


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("format", [QuantFormat.QDQ, VitisQuantFormat.QDQ], ids=["native", "vitis"])
def test_the_model_computes_what_the_reference_interpreter_does(format: Any, types: str) -> None:
    activation_type, weight_type = TYPES[types]
    chosen = options(quant_format=format, activation_type=activation_type, weight_type=weight_type)
    result = quantize_graph(network(), Reader(), recipe=recipe_of(chosen), form=form_of(chosen))
    onnx.checker.check_model(result.model, full_check=True)
    session = Interpreter("float").session(result.graph, ["y"])
    reference, found = session.run({"x": X})["y"], flat(result.model)
    wide = "32" in types  # sums of float32 numbers depend on their order, and 32 bits show it
    np.testing.assert_allclose(found, reference, rtol=0, atol=1e-6 * np.abs(reference).max() if wide else 0)
    want = run(network(), {"x": X})[0]
    assert 10 * np.log10((want**2).sum() / ((want - found) ** 2).sum()) > LEAST_DB[types]


def flat(proto: Any) -> Any:
    """The answer without integer kernels, which sum in another way."""
    settings = ort.SessionOptions()
    settings.add_session_config_entry("session.disable_quant_qdq", "1")
    session = ort.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": X})[0]


@pytest.mark.parametrize(
    ("format", "extra", "operators"),
    [
        (VitisQuantFormat.QDQ, {}, {"VitisQuantizeLinear", "VitisDequantizeLinear"}),
        (
            VitisQuantFormat.QDQ,
            {"UseQDQVitisCustomOps": False},
            {"QuantizeLinear", "DequantizeLinear"},
        ),
        (VitisQuantFormat.FixNeuron, {}, {"FixNeuron"}),
    ],
)
@pytest.mark.parametrize("enable_dpu", [False, True])
def test_operators_of_the_file(
    format: Any, extra: dict[str, Any], operators: set[str], enable_dpu: bool, tmp_path: Path
) -> None:
    onnx.save(network(), tmp_path / "float.onnx")
    vai_q_onnx.quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "q.onnx",
        Reader(),
        quant_format=format,
        enable_dpu=enable_dpu,
        extra_options=extra,
        print_summary=False,
    )
    proto = onnx.load(tmp_path / "q.onnx")
    onnx.checker.check_model(proto, full_check=True)
    found = Counter(node.op_type for node in proto.graph.node if node.domain)
    assert set(found) == operators and len(set(found.values())) == 1
    domain = "com.vai.quantize" if "VitisQuantizeLinear" in found else "ai.onnx.contrib"
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 17), (domain, 1)]
    want, got = run(network(), {"x": X})[0], run(proto, {"x": X})[0]
    assert 10 * np.log10((want**2).sum() / ((want - got) ** 2).sum()) > 24


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"enable_dpu": True},
        {"calibrate_method": CalibrationMethod.MinMax, "per_channel": True, "reduce_range": True},
        {"calibrate_method": CalibrationMethod.MinMax, "weight_type": QuantType.QUInt8},
    ],
)
def test_pairs_behind_float_weights_make_the_same_numbers(arguments: Any, tmp_path: Path) -> None:
    text = """agraph (float[n,3,6,6] x) => (float[n,4,6,6] y) {
        h = Conv <kernel_shape = [1, 1]> (x, w, b)
        y = Sigmoid (h)
    }"""
    weights = {"w": random(4, 3, 1, 1), "b": random(4, seed=1)}
    source, x, outputs = model(text, **weights), random(2, 3, 6, 6, seed=7), []
    for extra in ({}, {"AddQDQPairToWeight": True}):
        path = str(tmp_path / "quantized.onnx")
        vai_q_onnx.quantize_static(source, path, None, extra_options=extra, print_summary=False, **arguments)
        onnx.checker.check_model(path, full_check=True)
        outputs.append(run(path, {"x": x})[0])
    np.testing.assert_array_equal(*outputs)
    proto = onnx.load(path)
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    pairs = {node.input[0] for node in proto.graph.node if node.op_type == "QuantizeLinear"} & stored.keys()
    assert pairs == ({"w", "b"} if "enable_dpu" in arguments else {"w"}), "biases of 32 bits have none"
    assert stored["w"].dtype == np.float32
    if "reduce_range" not in arguments:
        np.testing.assert_array_equal(stored["w"], weights["w"])
    conv = next(op for op in absorb(import_model(path)).ops if op.kind == "conv2d")
    assert absorb(import_model(path)).value(conv.inputs[1]).quant is not None, "it is read as it was written"

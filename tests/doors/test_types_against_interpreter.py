"""What the emitted model computes in ONNX Runtime is what the reference interpreter computes from the plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from quantforge import quantize
from quantforge.graph import Array
from quantforge.numerics.formats import FloatFormat, IntFormat
from quantforge.ops.interpreter import Interpreter
from tests.unit.frontends.onnx.text_models import model, random, run
from vai_q_onnx import (
    CalibrationMethod,
    PowerOfTwoMethod,
    QuantFormat,
    QuantType,
    VitisQuantFormat,
    VitisQuantType,
)
from vai_q_onnx.formats import form_of
from vai_q_onnx.options import Options, checked_extra, recipe_of

TEXT = """agraph (float[n,3,8,8] x) => (float[n,5] y) {
    [c1] c1 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w1, b1)
    [r1] r1 = Relu (c1)
    [c2] c2 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 4> (r1, w2, b2)
    [ad] ad = Add (c2, r1)
    [mu] mu = Mul (ad, c2)
    [mp] mp = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (mu)
    [cc] cc = Concat <axis = 1> (mp, mp)
    [gp] gp = GlobalAveragePool (cc)
    [fl] fl = Flatten (gp)
    [y] y = Gemm <transB = 1> (fl, w3, b3)
}"""
WEIGHTS = {
    "w1": random(4, 3, 3, 3), "b1": random(4), "w2": random(4, 1, 3, 3, seed=1), "b2": random(4, seed=2),
    "w3": random(5, 8, seed=3), "b3": random(5, seed=4),
}  # fmt: skip
NATIVE, VITIS = QuantFormat.QDQ, VitisQuantFormat.QDQ
POWERS, FLOATS = PowerOfTwoMethod.MinMSE, CalibrationMethod.MinMax
CASES: dict[str, tuple[Any, Any, Any, Any, bool]] = {  # format, activations, weights, method, enable_dpu
    "int8, powers of two": (NATIVE, QuantType.QInt8, QuantType.QInt8, POWERS, False),
    "int8, float scales": (NATIVE, QuantType.QInt8, QuantType.QInt8, FLOATS, False),
    "int8, a DPU": (NATIVE, QuantType.QInt8, QuantType.QInt8, POWERS, True),
    "uint8, a DPU": (NATIVE, QuantType.QUInt8, QuantType.QInt8, POWERS, True),
    "uint8": (NATIVE, QuantType.QUInt8, QuantType.QInt8, FLOATS, False),
    "int8, Vitis operators": (VITIS, QuantType.QInt8, QuantType.QInt8, POWERS, False),
    "int16": (NATIVE, QuantType.QInt16, QuantType.QInt16, POWERS, False),
    "int16, Vitis operators": (VITIS, VitisQuantType.QInt16, VitisQuantType.QInt16, POWERS, False),
    "int16 and int8": (VITIS, VitisQuantType.QInt16, QuantType.QInt8, POWERS, False),
    "bfloat16": (VITIS, VitisQuantType.QBFloat16, VitisQuantType.QBFloat16, POWERS, False),
    "float16": (VITIS, VitisQuantType.QFloat16, VitisQuantType.QFloat16, POWERS, False),
    "bfloat16, Cast pairs": (NATIVE, VitisQuantType.QBFloat16, VitisQuantType.QBFloat16, POWERS, False),
}


def batches() -> list[dict[str, Array]]:
    return [{"x": random(4, 3, 8, 8, seed=seed)} for seed in range(3)]


@pytest.mark.parametrize("name", CASES)
def test_onnx_runtime_computes_the_plan(name: str) -> None:
    form, activations, weights, method, dpu = CASES[name]
    options = Options(
        quant_format=form, calibrate_method=method, activation_type=activations, weight_type=weights,
        enable_dpu=dpu, extra=checked_extra(None),
    )  # fmt: skip
    found = quantize(
        model(TEXT, opset=13, **WEIGHTS), batches(), recipe=recipe_of(options), form=form_of(options)
    )
    onnx.checker.check_model(found.model, full_check=True)
    x = random(64, 3, 8, 8, seed=50)
    want = Interpreter().session(found.graph, ["y"]).run({"x": x})["y"]
    (got,) = run(found.model, {"x": x})
    spec = found.graph.value("y").quant
    assert spec is not None
    step: Any = np.float64(spec.scale[0])
    if isinstance(spec.format, FloatFormat):
        step = 2.0 ** (np.floor(np.log2(np.maximum(np.abs(want), 1e-6))) - spec.format.mantissa_bits)
    off = np.abs(want.astype(np.float64) - got) / step
    exact = isinstance(spec.format, IntFormat) and spec.format.bits == 8 and method is POWERS
    assert off.max() <= (0 if exact else 1.01), "float32 rounds sums, the interpreter does not"
    assert (off > 0.01).mean() < (0.1 if isinstance(spec.format, FloatFormat) else 0.02)
    raised = [notice for notice in found.report.notices if notice.code == "Q0611"]
    wide = isinstance(spec.format, IntFormat) and spec.format.bits == 16 and form is NATIVE
    assert bool(raised) == (found.model.opset_import[0].version > 13) and (not wide or raised)

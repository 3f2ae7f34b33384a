"""Options that speak of operators by type, by the files that they lead to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import vai_q_onnx
from quantforge.diagnostics import InputError
from quantforge.graph import Array
from tests.unit.frontends.onnx.text_models import model, random, run

NET = """agraph (float[n,3,6,6] x) => (float[n,3,6,6] y) {
    [c] h = Conv <kernel_shape = [1, 1]> (x, w, b)
    [r] g = Relu (h)
    [a] s = Add (g, x)
    [k] y = Clip (s, low, high)
}"""
WEIGHTS = {
    "w": random(3, 3, 1, 1),
    "b": random(3, seed=1),
    "low": np.float32(0.0),
    "high": np.float32(2.5),
}
PRODUCTS = """agraph (float[4,4] x) => (float[4,4] y) {
    [m] h = MatMul (x, w)
    [d] y = MatMul (h, h)
}"""


class Reader:
    def __init__(self, *shape: int) -> None:
        self.left = [random(*shape, seed=seed) for seed in range(3)]

    def get_next(self) -> dict[str, Array] | None:
        return {"x": self.left.pop()} if self.left else None


def quantized(
    folder: Path, extra: dict[str, Any], text: str = NET, weights: Any = WEIGHTS, **arguments: Any
) -> dict[str, tuple[float, str, int]]:
    """Scale, type and zero point by tensor; the model runs."""
    path = str(folder / "quantized.onnx")
    shape = (4, 4) if text == PRODUCTS else (2, 3, 6, 6)
    arguments = {"extra_options": extra, "print_summary": False, **arguments}
    vai_q_onnx.quantize_static(model(text, **weights), path, Reader(*shape), **arguments)
    onnx.checker.check_model(path, full_check=True)
    run(path, {"x": random(*shape)})
    proto = onnx.load(path)
    params = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    found = {}
    for name, array in params.items():
        if name.endswith("_scale") and f"{name[:-6]}_zero_point" in params:
            zero = params[f"{name[:-6]}_zero_point"]
            found[name[:-6]] = (float(array.flat[0]), zero.dtype.name, int(zero.flat[0]))
    return found


def test_outputs_of_relu_and_clip_from_zero_are_unsigned(tmp_path: Path) -> None:
    before = quantized(tmp_path, {"ActivationSymmetric": True})
    after = quantized(tmp_path, {"ActivationSymmetric": True, "UseUnsignedReLU": True})
    assert {name for name in after if after[name] != before[name]} == {"g", "y"}
    for name in ("g", "y"):
        assert before[name][2] == 0 and after[name][2] == -128
        assert after[name][0] < before[name][0], "half the range was unused"
    with pytest.raises(InputError, match="Q0704 enable_dpu=True: found UseUnsignedReLU=True"):
        quantized(tmp_path, {"UseUnsignedReLU": True}, enable_dpu=True)


def test_biases_stay_float(tmp_path: Path) -> None:
    assert "b_quantized" in quantized(tmp_path, {})
    for arguments in (
        {},
        {"calibrate_method": vai_q_onnx.CalibrationMethod.MinMax, "per_channel": True},
        {"quant_format": vai_q_onnx.VitisQuantFormat.QDQ},
    ):
        found = quantized(tmp_path, {"QuantizeBias": False}, **arguments)
        assert "b_quantized" not in found and "b" not in found
        stored = {t.name: t for t in onnx.load(tmp_path / "quantized.onnx").graph.initializer}
        np.testing.assert_array_equal(numpy_helper.to_array(stored["b"]), WEIGHTS["b"])
    with pytest.raises(InputError, match="Q0704 enable_dpu=True: found QuantizeBias=False"):
        quantized(tmp_path, {"QuantizeBias": False}, enable_dpu=True)
    with pytest.raises(InputError, match="Q0704 quant_format=QOperator: found QuantizeBias=False"):
        quantized(tmp_path, {"QuantizeBias": False}, quant_format=vai_q_onnx.QuantFormat.QOperator)


def test_products_of_two_computed_matrices_stay_float(tmp_path: Path) -> None:
    weights = {"w": random(4, 4)}
    assert set(quantized(tmp_path, {}, PRODUCTS, weights)) == {"x", "w", "h", "y"}
    assert set(quantized(tmp_path, {"MatMulConstBOnly": True}, PRODUCTS, weights)) == {"x", "w", "h"}


@pytest.mark.parametrize(
    ("types", "gone"),
    [(["Add"], {"s"}), (["Relu", "Clip"], {"g", "y"}), (["Conv"], set())],
)
def test_outputs_of_these_types_stay_float(types: list[str], gone: set[str], tmp_path: Path) -> None:
    floats = {"calibrate_method": vai_q_onnx.CalibrationMethod.MinMax}
    text = NET.replace("Clip (s, low, high)", "Relu (s)") if types == ["Add"] else NET
    text = text.replace("[k] y = Relu (s)", "[k] y = Sigmoid (s)")
    weights = {name: a for name, a in WEIGHTS.items() if name in text}
    before = quantized(tmp_path, {}, text, weights, **floats)
    after = quantized(tmp_path, {"OpTypesToExcludeOutputQuantization": types}, text, weights, **floats)
    assert set(before) - set(after) == gone


def test_a_type_that_the_model_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Q0706 extra_options.*: found 'Cliip'; .*try: 'Clip'"):
        quantized(tmp_path, {"OpTypesToExcludeOutputQuantization": ["Cliip"]})
    with pytest.raises(InputError, match=r"Q0702 extra_options.*: found 'Clip'; .*try: \['Clip'\]"):
        quantized(tmp_path, {"OpTypesToExcludeOutputQuantization": "Clip"})


def test_operators_that_move_data_can_be_forced(tmp_path: Path) -> None:
    text = """agraph (float[n,3,6,6] x) => (float[n,3,3,3] y, float[n,3,6,6] z) {
        [p] y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)
        [c] h = Abs (x)
        [d] z = Conv <kernel_shape = [1, 1]> (h, w)
    }"""
    weights = {"w": WEIGHTS["w"]}
    assert set(quantized(tmp_path, {}, text, weights)) == {"h", "w", "z"}
    forced = quantized(tmp_path, {"ForceQuantizeNoInputCheck": True}, text, weights)
    assert set(forced) == {"x", "y", "h", "w", "z"} and forced["x"] == forced["y"]
    kept = quantized(tmp_path, {"ForceQuantizeNoInputCheck": True}, text, weights, nodes_to_exclude=["p"])
    assert set(kept) == {"h", "w", "z"}


def test_scales_of_sixteen_bits(tmp_path: Path) -> None:
    arguments = {"calibrate_method": vai_q_onnx.CalibrationMethod.MinMax}
    plain = quantized(tmp_path, {}, **arguments)
    found = quantized(tmp_path, {"Int16Scale": True}, **arguments)
    assert not (plain["x"][0] * 2**16).is_integer()
    assert all((row[0] * 2**16).is_integer() for name, row in found.items() if name != "b_quantized")
    assert abs(found["x"][0] - plain["x"][0]) <= 2.0**-17
    for wrong in ({"enable_dpu": True}, {"quant_format": vai_q_onnx.VitisQuantFormat.QDQ}):
        with pytest.raises(InputError, match=r"Q0704 .*: found Int16Scale=True"):
            quantized(tmp_path, {"Int16Scale": True}, **wrong)


AXES = "QDQOpTypePerChannelSupportToAxis"
PER_CHANNEL = {"calibrate_method": vai_q_onnx.CalibrationMethod.MinMax, "per_channel": True}


@pytest.mark.parametrize("axis", [1, -1])
def test_the_axis_of_output_channels_is_the_one_that_has_scales(axis: int, tmp_path: Path) -> None:
    weights = {"w": random(4, 4)}
    quantized(tmp_path, {AXES: {"MatMul": axis}}, PRODUCTS, weights, **PER_CHANNEL)
    proto = onnx.load(tmp_path / "quantized.onnx")
    node = next(node for node in proto.graph.node if node.name == "w_DequantizeLinear")
    assert [attribute.i for attribute in node.attribute] == [1]
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    assert stored["w_scale"].shape == (4,)


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        ({"MatMul": 0}, "Q0717 .*: found {'MatMul': 0} for m; expected 1, its output channels"),
        ({"MatMull": 1}, "Q0706 .*: found 'MatMull'; .*try: 'MatMul'"),
        ({"MatMul": "1"}, "Q0702 .*expected a dictionary of operator types and axes"),
        (["MatMul"], "Q0702 .*expected a dictionary of operator types and axes"),
    ],
)
def test_other_axes_are_refused(axes: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=text):
        quantized(tmp_path, {AXES: axes}, PRODUCTS, {"w": random(4, 4)}, **PER_CHANNEL)


@pytest.mark.parametrize("form", vai_q_onnx.QuantFormat)
def test_the_scale_of_sigmoids(form: Any, tmp_path: Path) -> None:
    text = NET.replace("Clip (s, low, high)", "Sigmoid (s)")
    weights = {name: WEIGHTS[name] for name in ("w", "b")}
    arguments = {
        "calibrate_method": vai_q_onnx.CalibrationMethod.MinMax,
        "activation_type": vai_q_onnx.QuantType.QUInt8,
        "quant_format": form,
    }
    assert quantized(tmp_path, {}, text, weights, **arguments)["y"][0] != 1 / 256
    found = quantized(tmp_path, {"extra.Sigmoid.nnapi": True}, text, weights, **arguments)
    assert found["y"] == (1 / 256, "uint8", 0)
    with pytest.raises(InputError, match=r"Q0704 enable_dpu=True: found extra.Sigmoid.nnapi=True"):
        quantized(tmp_path, {"extra.Sigmoid.nnapi": True}, enable_dpu=True)

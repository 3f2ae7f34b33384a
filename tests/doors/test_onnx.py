"""The template suite through the ONNX door, and through the names of vai_q_onnx."""

from __future__ import annotations

import math
from pathlib import Path

import onnx
from onnx import numpy_helper

import vai_q_onnx
from quantforge.frontends.quantize import quantize
from quantforge.graph import Array, QuantSpec
from quantforge.quantization.plan import Plan
from tests.doors.onnx_networks import to_onnx
from tests.doors.template import RECIPE, DoorSuite, Network, calibration
from tests.unit.frontends.onnx.text_models import run


class TestOnnxDoor(DoorSuite):
    def positions(self, network: Network, folder: Path) -> dict[str, int]:
        return _positions(quantize(to_onnx(network), calibration(), recipe=RECIPE).plan)

    def outputs(self, network: Network, folder: Path, x: Array) -> tuple[Array, Array]:
        path = folder / "quantized.onnx"
        quantize(to_onnx(network), calibration(), recipe=RECIPE, output=path)
        return run(to_onnx(network), {"x": x})[0], run(path, {"x": x})[0]


class Reader(vai_q_onnx.CalibrationDataReader):
    """As users write it."""

    def __init__(self) -> None:
        self.batches = iter(calibration())

    def get_next(self) -> dict[str, Array] | None:
        return next(self.batches, None)


class TestVaiQOnnx(DoorSuite):
    """Its file is read back: scales and zero points of the QuantizeLinear and DequantizeLinear nodes."""

    activation_type = vai_q_onnx.QuantType.QInt8
    zero_points = frozenset({("int8", 0)})

    def quantized(self, network: Network, folder: Path) -> Path:
        onnx.save(to_onnx(network), folder / "float.onnx")
        vai_q_onnx.quantize_static(
            str(folder / "float.onnx"),
            str(folder / "quantized.onnx"),
            Reader(),
            quant_format=vai_q_onnx.QuantFormat.QDQ,
            calibrate_method=vai_q_onnx.PowerOfTwoMethod.MinMSE,
            activation_type=self.activation_type,
            weight_type=vai_q_onnx.QuantType.QInt8,
            enable_dpu=True,
            extra_options={"ActivationSymmetric": True},
            print_summary=False,
        )
        return folder / "quantized.onnx"

    def positions(self, network: Network, folder: Path) -> dict[str, int]:
        found = read_specs(self.quantized(network, folder))
        assert {(dtype, zero) for _, dtype, zero in found.values()} == self.zero_points
        return {name: -round(math.log2(scale)) for name, (scale, _, _) in found.items()}

    def outputs(self, network: Network, folder: Path, x: Array) -> tuple[Array, Array]:
        return run(to_onnx(network), {"x": x})[0], run(self.quantized(network, folder), {"x": x})[0]


class TestVaiQOnnxUint8(TestVaiQOnnx):
    """The guide's configuration for CNNs on an NPU: the same grid, moved by 128."""

    activation_type = vai_q_onnx.QuantType.QUInt8
    zero_points = frozenset({("int8", 0), ("uint8", 128)})


def read_specs(path: Path) -> dict[str, tuple[float, str, int]]:
    """Scale, type and zero point by tensor, as the DequantizeLinear nodes of a file say."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    params = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear":
            scale, zero = params[node.input[1]], params[node.input[2]]
            assert math.frexp(float(scale))[0] == 0.5
            found[node.name.removesuffix("_DequantizeLinear")] = (float(scale), zero.dtype.name, int(zero))
    return found


def _positions(plan: Plan) -> dict[str, int]:
    return {name: _position(spec) for name, spec in plan.tensors.items()}


def _position(spec: QuantSpec) -> int:
    assert spec.position is not None
    return spec.position

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError
from quantforge.frontends.torch.onnx_check import differences, layer_values, optimize_file
from quantforge.frontends.torch.onnx_export import export_onnx
from quantforge.graph import Graph, Op, QuantSpec, Value
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding

X = np.array([[0.3, -0.7], [5.0, 0.0625]], np.float32)


def net(position: int = 3) -> Graph:
    """y = round(round(x) w), z = tanh(y)."""
    spec = QuantSpec.power_of_two(INT8, position, Rounding.HALF_UP)
    data = np.array([[1.0, 0.5], [-0.25, 2.0]], np.float32)
    values = [
        Value("x", ("batch", 2), quant=spec),
        Value("w", (2, 2), "float32", data, QuantSpec.power_of_two(INT8, 4)),
        Value("y", ("batch", 2), quant=spec),
        Value("z", ("batch", 2)),
    ]
    ops = [Op("matmul", "m", ("x", "w"), ("y",), {"weight_layout": "IO"}), Op("tanh", "t", ("y",), ("z",))]
    return Graph("g", values, ops, ["x"], ["y", "z"])


def test_equal_files_and_others(tmp_path: Path) -> None:
    path = export_onnx(net(), tmp_path / "g.onnx")
    found = differences(net(), path, {"x": X, "other": X})
    assert (found[0].output, found[0].unequal, found[0].elements, found[0].close) == ("y", 0, 4, True)
    assert found[1].close and found[1].largest < 1e-6
    other = differences(net(4), path, {"x": X})[0]
    assert not other.close and other.unequal > 0 and other.largest >= 2**-4
    wide = net()
    wide.set_value(replace(wide.value("w"), shape=(2, 3), const=np.ones((2, 3), np.float32)))
    assert differences(wide, path, {"x": X})[0].largest == float("inf")


def test_every_real_tensor_is_seen(tmp_path: Path) -> None:
    path = export_onnx(net(), tmp_path / "g.onnx")
    values = layer_values(path, {"x": X})
    assert {"x_DequantizeLinear_Output", "y", "z"} <= set(values)
    assert not [name for name in values if name.endswith("QuantizeLinear_Output") and "De" not in name]
    np.testing.assert_array_equal(values["x_DequantizeLinear_Output"], [[0.25, -0.75], [5.0, 0.125]])


def test_an_optimized_file_computes_the_same(tmp_path: Path) -> None:
    path = export_onnx(net(), tmp_path / "g.onnx")
    before = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": X})
    optimize_file(path)
    model = onnx.load(str(path))
    onnx.checker.check_model(model)
    assert not model.functions and {entry.domain for entry in model.opset_import} == {""}
    assert onnx.TensorProto.INT8 in {tensor.data_type for tensor in model.graph.initializer}
    after = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": X})
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["g.onnx"]


def test_files_that_do_not_run_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    path.write_bytes(b"no model")
    for look in (lambda: differences(net(), path, {"x": X}), lambda: optimize_file(path)):
        with pytest.raises(InputError, match="Q1480"):
            look()
    assert path.read_bytes() == b"no model"
    export_onnx(net(), path)
    with pytest.raises(InputError, match="Q1480"):
        layer_values(path, {})

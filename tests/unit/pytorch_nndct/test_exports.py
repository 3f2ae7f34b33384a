from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from pytorch_nndct.exports import LAYERS, OnnxOptions, onnx_file  # noqa: E402
from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.onnx_check import Difference  # noqa: E402
from quantforge.xmodel.read import read_xmodel  # noqa: E402
from tests.unit.pytorch_nndct.residual import CPU, answers, images  # noqa: E402


def onnx_answers(path: Path, x: Any) -> Any:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x.numpy()})[0]


def test_onnx_runs_in_onnx_runtime_and_agrees_bit_for_bit(tested: Any, tmp_path: Path) -> None:
    tested.export_onnx_model(tmp_path, dynamic_batch=True)
    path = tmp_path / "Residual_int.onnx"
    np.testing.assert_array_equal(onnx_answers(path, images()[0]), answers(tested))
    tested.export_onnx_model(tmp_path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, 3, 6, 6]


@pytest.mark.parametrize("bits", [4, 8, 13])
@pytest.mark.parametrize("options", [{}, {"native_onnx": False}, {"opt_graph": True}], ids=str)
def test_options_and_widths_change_no_bit(module: Any, tmp_path: Path, bits: int, options: Any) -> None:
    quantizer = torch_quantizer("calib", module, images()[0], output_dir=tmp_path, bitwidth=bits, device=CPU)
    quantizer.quant_model(images()[0])
    quantizer.export_quant_config()
    found = torch_quantizer("test", module, images()[0], output_dir=tmp_path, bitwidth=bits, device=CPU)
    want = answers(found)
    found.export_onnx_model(tmp_path, dynamic_batch=True, check_model=True, **options)
    path = tmp_path / "Residual_int.onnx"
    np.testing.assert_array_equal(onnx_answers(path, images()[0]), want)
    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    domains = {node.domain for node in model.graph.node}
    assert ("vai" in domains) == ("native_onnx" in options)
    assert {entry.domain for entry in model.opset_import} <= {"", "vai", "quantforge"}
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    if "native_onnx" in options:
        assert stored["conv1.weight"] == onnx.TensorProto.FLOAT
    else:
        integers = onnx.TensorProto.INT8 if bits <= 8 else onnx.TensorProto.INT16
        assert stored["conv1.weight_quantized"] == integers


def test_the_opset_is_chosen(tested: Any, tmp_path: Path) -> None:
    for version in (13, 26):
        tested.export_onnx_model(tmp_path, opset_version=version, dynamic_batch=True)
        model = onnx.load(str(tmp_path / "Residual_int.onnx"))
        assert {entry.domain: entry.version for entry in model.opset_import}[""] == version
        np.testing.assert_array_equal(
            onnx_answers(tmp_path / "Residual_int.onnx", images()[0]), answers(tested)
        )
    with pytest.raises(InputError, match=r"Q1479.*found 12; expected 13 to 26"):
        tested.export_onnx_model(tmp_path, opset_version=12)


def test_layers_of_the_last_forward_pass_are_dumped(module: Any, folder: Path, tmp_path: Path) -> None:
    fresh = torch_quantizer("test", module, images()[0][:1], output_dir=str(folder), device=CPU)
    with pytest.raises(InputError, match="Q1466"):
        fresh.export_onnx_model(tmp_path, dump_layers=True)
    assert not (tmp_path / "Residual_int.onnx").exists()
    want = answers(fresh)[:1]
    fresh.export_onnx_model(tmp_path, dump_layers=True)
    files = {path.stem: np.fromfile(path, np.float32) for path in (tmp_path / LAYERS).glob("*.bin")}
    np.testing.assert_array_equal(files["head"], want.reshape(-1))
    assert files["relu"].size == 144 and files["x_DequantizeLinear_Output"].size == 108


def test_the_check_tells_and_raises(
    tested: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(tested)
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        tested.export_onnx_model(tmp_path, check_model=True, verbose=True)
    assert "output 'head' is equal to quant_model bit for bit in ONNX Runtime" in caplog.text
    assert "Residual_int.onnx" in caplog.text
    for close in (True, False):
        row = Difference("head", 0.25, 3, 20, close)
        monkeypatch.setattr("pytorch_nndct.exports.differences", lambda *_, row=row: [row])
        if close:
            tested.export_onnx_model(tmp_path, check_model=True)
            assert "is like quant_model: 3 of 20 elements differ, by up to 0.25" in caplog.text
            continue
        with pytest.raises(
            InputError, match=r"Q1480.*output 'head': found 3 of 20 elements differ, by up to 0.25"
        ):
            tested.export_onnx_model(tmp_path, check_model=True)


def test_a_check_without_a_forward_pass_looks_at_noise(
    module: Any, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = torch_quantizer("test", module, images()[0][:1], output_dir=str(folder), device=CPU)
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        fresh.export_onnx_model(tmp_path, check_model=True)
    assert "equal to quant_model bit for bit" in caplog.text
    graph = fresh._graph()
    onnx_file(
        graph, "r", tmp_path, False, 3, OnnxOptions(check_model=True), lambda: {"x": images()[0][:1].numpy()}
    )


def test_torch_script_agrees_on_any_batch(tested: Any, tmp_path: Path) -> None:
    script = tested.export_torch_script(tmp_path)
    loaded = torch.jit.load(str(tmp_path / "Residual_int.pt"))
    for module in (script, loaded):
        np.testing.assert_array_equal(module(images()[0]).numpy(), answers(tested))


def test_the_exported_program_agrees_on_any_batch(tested: Any, tmp_path: Path) -> None:
    tested.export_exported_program(tmp_path / "new")
    program = torch.export.load(str(tmp_path / "new" / "Residual_int.pt2")).module()
    with torch.no_grad():
        np.testing.assert_array_equal(program(images()[0]).numpy(), answers(tested))


def test_the_xmodel_holds_the_positions(tested: Any, folder: Path, tmp_path: Path) -> None:
    tested.export_xmodel(tmp_path)
    model = read_xmodel(tmp_path / "Residual_int.xmodel")
    info = json.loads((folder / "quant_info.json").read_text("utf-8"))
    fixes = {op.name: op.attrs["fix_point"].value for op in model.ops.values() if op.kind == "fix"}
    assert fixes["x_fix"] == info["output"]["Residual::nndct_input_0"][0][1]
    modes = {op.attrs["round_mode"].value for op in model.ops.values() if op.kind == "fix"}
    assert "DPU_ROUND" in modes

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.xmodel.read import read_xmodel  # noqa: E402
from tests.unit.pytorch_nndct.residual import answers, images  # noqa: E402


def test_onnx_runs_in_onnx_runtime_and_agrees_bit_for_bit(tested: Any, tmp_path: Path) -> None:
    tested.export_onnx_model(tmp_path, dynamic_batch=True)
    session = ort.InferenceSession(str(tmp_path / "Residual_int.onnx"), providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": images()[0].numpy()})[0]
    np.testing.assert_array_equal(found, answers(tested))
    tested.export_onnx_model(tmp_path)
    session = ort.InferenceSession(str(tmp_path / "Residual_int.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, 3, 6, 6]


def test_torch_script_agrees_on_any_batch(tested: Any, tmp_path: Path) -> None:
    script = tested.export_torch_script(tmp_path)
    loaded = torch.jit.load(str(tmp_path / "Residual_int.pt"))
    for module in (script, loaded):
        np.testing.assert_array_equal(module(images()[0]).numpy(), answers(tested))


def test_the_xmodel_holds_the_positions(tested: Any, folder: Path, tmp_path: Path) -> None:
    tested.export_xmodel(tmp_path)
    model = read_xmodel(tmp_path / "Residual_int.xmodel")
    info = json.loads((folder / "quant_info.json").read_text("utf-8"))
    fixes = {op.name: op.attrs["fix_point"].value for op in model.ops.values() if op.kind == "fix"}
    assert fixes["x_fix"] == info["output"]["Residual::nndct_input_0"][0][1]
    modes = {op.attrs["round_mode"].value for op in model.ops.values() if op.kind == "fix"}
    assert "DPU_ROUND" in modes

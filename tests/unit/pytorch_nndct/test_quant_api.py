from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct import quant_api  # noqa: E402
from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from quantforge.diagnostics import CalibrationError, InputError, UnsupportedError  # noqa: E402
from tests.unit.frontends.torch.modules import Nested, Residual  # noqa: E402
from tests.unit.pytorch_nndct.residual import CPU, answers, images  # noqa: E402


def test_calibration_writes_the_files_of_the_original(module: Any, folder: Path) -> None:
    info = json.loads((folder / "quant_info.json").read_text("utf-8"))
    assert set(info["param"]) == {
        f"Residual::{layer}.{part}" for layer in ("conv1", "conv2", "head") for part in ("weight", "bias")
    }
    assert info["output"]["Residual::nndct_input_0"][0][0] == 8
    assert "Residual::nndct_relu_2" in info["output"]
    corrections = torch.load(folder / "bias_corr.pth", weights_only=True)
    assert {len(row) for row in corrections.values()} == {4, 5}


def test_the_float_module_is_not_changed_and_calibration_answers_in_float(
    module: Any, tmp_path: Path
) -> None:
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    quantizer = torch_quantizer("calib", module, images()[0], output_dir=tmp_path, device=CPU)
    with torch.no_grad():
        torch.testing.assert_close(
            quantizer.quant_model(images()[0]), module(images()[0]), atol=1e-5, rtol=1e-5
        )
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(tensor, before[name], atol=0, rtol=0)


def test_fixed_point_is_close_to_float(module: Any, tested: Any) -> None:
    with torch.no_grad():
        want = module(images()[0]).numpy()
    noise = np.square(answers(tested) - want).sum() / np.square(want).sum()
    assert 0 < noise < 10 ** (-25 / 10)


def test_four_bits_are_coarser_than_eight(module: Any, tmp_path: Path) -> None:
    quantizer = torch_quantizer("calib", module, images()[0], output_dir=tmp_path, bitwidth=4, device=CPU)
    quantizer.quant_model(images()[0])
    quantizer.export_quant_config()
    tested = torch_quantizer("test", module, images()[0], output_dir=tmp_path, bitwidth=4, device=CPU)
    tested.export_onnx_model(tmp_path, dynamic_batch=True)
    session = ort.InferenceSession(str(tmp_path / "Residual_int.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"x": images()[0].numpy()})[0], answers(tested))
    with torch.no_grad():
        want = module(images()[0]).numpy()
    noise = np.square(answers(tested) - want).sum() / np.square(want).sum()
    assert 10 ** (-25 / 10) < noise < 1


def test_dicts_keywords_and_state_files(tmp_path: Path, module: Any) -> None:
    x = torch.randn(2, 4, 3)
    quantizer = torch_quantizer("calib", Nested(), x, {"other": x}, output_dir=tmp_path, device=CPU)
    quantizer.quant_model(x, other=x)
    quantizer.export_quant_config()
    tested = torch_quantizer("test", Nested(), x, {"other": x}, output_dir=tmp_path, device=CPU)
    assert list(tested.quant_model(x, other=x)) == ["pair", "count", "rows", "sorted"]
    torch.save(module.state_dict(), tmp_path / "weights.pth")
    loaded = torch_quantizer("float", Residual(), images()[0], str(tmp_path / "weights.pth"), device=CPU)
    with torch.no_grad():
        torch.testing.assert_close(loaded.quant_model.eval()(images()[0]), module(images()[0]))


def test_mistakes_are_said_with_codes(module: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Q1413"):
        torch_quantizer("test", module, images()[0], output_dir=tmp_path, device=CPU)
    quantizer = torch_quantizer("calib", module, images()[0], output_dir=tmp_path, device=CPU)
    with pytest.raises(InputError, match="Q1410"):
        quantizer.export_onnx_model(tmp_path)
    with pytest.raises(CalibrationError, match="Q0201"):
        quantizer.export_quant_config()
    with pytest.raises(InputError, match="Q1421 input_args"):
        torch_quantizer("calib", module, device=CPU)
    with pytest.raises(InputError, match="Q1421 state_dict_file"):
        torch_quantizer("calib", module, images()[0], state_dict_file="nowhere.pth", device=CPU)
    with pytest.raises(UnsupportedError, match="Q1420"):
        _ = quantizer.deploy_model


def test_without_a_gpu_the_processor_serves_and_says_so(
    module: Any, caplog: pytest.LogCaptureFixture
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        quantizer = torch_quantizer("float", module, images()[0])
    assert "Q1422" in caplog.text
    assert quantizer.quant_model is module
    assert quant_api.current_quantizer() is quantizer

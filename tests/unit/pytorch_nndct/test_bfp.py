from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import pytorch_nndct  # noqa: E402
from pytorch_nndct import bfp  # noqa: E402
from pytorch_nndct.quantization import bfp as original  # noqa: E402
from quantforge.diagnostics import InputError  # noqa: E402
from tests.unit.frontends.torch.modules import Residual  # noqa: E402


def test_both_imports_of_the_documents() -> None:
    assert bfp is original is pytorch_nndct.bfp is pytorch_nndct.quantization.bfp


def test_the_default_is_mx6_and_a_file_takes_its_place(tmp_path: Path) -> None:
    module, x = Residual().train(), torch.randn(3, 3, 6, 6)
    path = tmp_path / "bfp.yaml"
    path.write_text("bfp: {bitwidth: 13, block_size: 16, prime: {mode: shared}}", "utf-8")
    with torch.no_grad():
        found = [
            bfp.quantize_model(module, x)(x),
            bfp.quantize_model(module, (x,), dtype="mx6")(x),
            bfp.quantize_model(module, x, dtype="mx9", config_file=path)(x),
        ]
        other = bfp.quantize_model(module, x, dtype="mxfp8_e4m3")(x)
    assert all(torch.equal(found[0], again) for again in found) and not torch.equal(found[0], other)
    assert module.training


def test_onnx_needs_nothing_registered(tmp_path: Path) -> None:
    quantized = bfp.quantize_model(Residual(), torch.zeros(2, 3, 6, 6), dtype="mx9")
    x = torch.randn(5, 3, 6, 6)
    path = bfp.export_onnx_model(quantized, tmp_path / "new", dynamic_batch=True)
    assert path == tmp_path / "new" / "Residual_blocks.onnx"
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        want = quantized(x).numpy()
    np.testing.assert_allclose(session.run(None, {"x": x.numpy()})[0], want, atol=1e-3)
    fixed = ort.InferenceSession(
        str(bfp.export_onnx_model(quantized, tmp_path)), providers=["CPUExecutionProvider"]
    )
    assert fixed.get_inputs()[0].shape == [2, 3, 6, 6]


def test_wrong_arguments(tmp_path: Path) -> None:
    module = Residual()
    with pytest.raises(InputError, match="Q1475 block format: found 'mx5000'"):
        bfp.quantize_model(module, torch.zeros(2, 3, 6, 6), dtype="mx5000")
    with pytest.raises(InputError, match="Q1421 quantized: found Residual"):
        bfp.export_onnx_model(module, tmp_path)  # type: ignore[arg-type]

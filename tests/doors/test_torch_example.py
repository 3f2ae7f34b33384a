"""The PyTorch example runs as it is printed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn, which has the images, is not installed")

EXAMPLE = Path(__file__).parents[2] / "examples" / "torch" / "quantize.py"
LEAST = 90.0  # percent of the test images; the float model has 95.7
LARGEST_LOSS = 2.0  # points


def test_the_three_steps(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("torch_example", EXAMPLE)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    folder = ["--output_dir", str(tmp_path)]
    exact = example.main(["--quant_mode", "float", *folder])
    assert example.main(["--quant_mode", "float", "--inspect", *folder]) == 100.0
    example.main(["--quant_mode", "calib", *folder])
    found = example.main(["--quant_mode", "test", "--deploy", *folder])
    assert exact > LEAST and found > exact - LARGEST_LOSS
    names = {path.name for path in tmp_path.iterdir()}
    assert {
        "Digits_int.onnx",
        "Digits_int.pt",
        "Digits_int.xmodel",
        "quant_info.json",
        "bias_corr.pth",
        "inspect_DPUCZDX8G_ISA1_B4096.txt",
        "inspect_DPUCZDX8G_ISA1_B4096.svg",
        "deploy_check_data_int",
    } <= names

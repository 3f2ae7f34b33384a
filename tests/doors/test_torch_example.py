"""The PyTorch example runs as it is printed."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn, which has the images, is not installed")

EXAMPLE = Path(__file__).parents[2] / "examples" / "torch" / "quantize.py"
LEAST = 90.0  # percent of the test images; the float model has 95.7
LARGEST_LOSS = 2.0  # points


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("torch_example", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_three_steps(example: Any, tmp_path: Path) -> None:
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


@pytest.fixture(scope="module")
def trained(example: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The trained model's file, and its accuracy."""
    folder = tmp_path_factory.mktemp("digits")
    exact = example.main(["--quant_mode", "float", "--output_dir", str(folder)])
    return folder / "digits.pth", exact


@pytest.mark.parametrize("name", ["int", "bfloat16", "mix_precision", "pt_quant"])
def test_the_configurations(name: str, example: Any, trained: tuple[Path, float], tmp_path: Path) -> None:
    file = EXAMPLE.with_name(f"{name}_config.json")
    shutil.copy(trained[0], tmp_path)
    options = ["--config_file", str(file), "--output_dir", str(tmp_path)]
    example.main(["--quant_mode", "calib", *options])
    assert example.main(["--quant_mode", "test", *options]) > trained[1] - LARGEST_LOSS


def test_fast_finetune(example: Any, trained: tuple[Path, float], tmp_path: Path) -> None:
    shutil.copy(trained[0], tmp_path)
    options = ["--fast_finetune", "--output_dir", str(tmp_path)]
    example.main(["--quant_mode", "calib", *options])
    assert (tmp_path / "param.pth").is_file()
    assert example.main(["--quant_mode", "test", *options]) > trained[1] - LARGEST_LOSS

"""The example of training runs as it is printed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn, which has the images, is not installed")

EXAMPLE = Path(__file__).parents[2] / "examples" / "torch" / "qat.py"
LARGEST_LOSS = 1.5  # points below the float model's 95.7 %


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    spec = importlib.util.spec_from_file_location("torch_qat_example", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_training_wins_back_what_three_bits_lose(example: Any, tmp_path: Path) -> None:
    options = ["--weight_bits", "3", "--epochs", "5", "--output_dir", str(tmp_path)]
    exact, calibrated, trained = example.main(options)
    assert trained > calibrated and trained > exact - LARGEST_LOSS
    names = {path.name for path in tmp_path.iterdir()}
    assert {
        "Digits_int.onnx",
        "Digits_int.pt",
        "Digits_int.xmodel",
        "quant_info.json",
        "deployable.pth",
        "checkpoint.pth",
    } <= names

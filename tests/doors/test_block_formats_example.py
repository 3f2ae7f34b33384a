"""The example of block formats runs as it is printed."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn, which has the images, is not installed")

EXAMPLE = Path(__file__).parents[2] / "examples" / "torch" / "block_formats.py"
LOSSES = {"mx9": 0.6, "mx6": 1.5, "mx4": 10.0, "mxfp8_e4m3": 1.5}  # points of the float model's 95.7


def test_the_formats_in_torch_and_in_onnx(tmp_path: Path) -> None:
    main: Any = runpy.run_path(str(EXAMPLE))["main"]
    wanted = [argument for name in LOSSES for argument in ("--dtype", name)]
    found = main([*wanted, "--onnx", "--output_dir", str(tmp_path)])
    for name, loss in LOSSES.items():
        assert abs(found["float"] - found[name]) <= loss, name
    assert abs(found["onnx"] - found["mxfp8_e4m3"]) <= 0.3
    assert (tmp_path / "Digits_blocks.onnx").is_file()

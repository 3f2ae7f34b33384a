from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from pytorch_nndct.model_file import write_model_file  # noqa: E402
from quantforge.graph import Graph, Op, Value  # noqa: E402
from tests.unit.pytorch_nndct.residual import CPU, images  # noqa: E402


def imported(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_file_imports_and_computes_the_float_model(module: Any, tmp_path: Path) -> None:
    quantizer = torch_quantizer("calib", module, images()[0], output_dir=tmp_path, device=CPU)
    found = imported(tmp_path / "Residual.py")
    state = quantizer.quant_model.state_dict()
    written = found.Residual().eval()
    written.load_state_dict({ours: state[theirs] for ours, theirs in found.NAMES.items()})
    with torch.no_grad():
        torch.testing.assert_close(written(images()[0]), module(images()[0]), atol=1e-5, rtol=1e-5)


def test_its_names_are_those_of_the_result(folder: Path) -> None:
    text = (folder / "Residual.py").read_text("utf-8")
    info = (folder / "quant_info.json").read_text("utf-8")
    for name in ("Residual::nndct_input_0", "Residual::nndct_relu_2", "Residual::nndct_relu_5"):
        assert name in text and f'"{name}"' in info


def test_what_cannot_be_written_is_a_notice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    graph = Graph(
        "g", [Value("x"), Value("y")], [Op("opaque", "y", ("x",), ("y",), {"type": "Odd"})], ("x",), ("y",)
    )
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        assert write_model_file(graph, tmp_path) is None
    assert "Q1461 op 'y'" in caplog.text and not list(tmp_path.iterdir())

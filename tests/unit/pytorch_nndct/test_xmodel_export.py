from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.xmodel_export import flat_model, xmodel_file  # noqa: E402
from quantforge.graph import Graph, Op, Value  # noqa: E402
from quantforge.xmodel.read import read_xmodel  # noqa: E402


def relu(batch: int | str) -> Graph:
    values = [Value(name, (batch, 4)) for name in ("x", "y")]
    return Graph("net", values, [Op("relu", "layer.relu", ("x",), ("y",))], ("x",), ("y",))


def test_operators_say_their_layer() -> None:
    assert flat_model(relu("batch")).ops["y"].get("origin") == "layer.relu"


def test_the_batch_is_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = xmodel_file(relu("batch"), tmp_path / "new", False, None)
    assert path.name == "net_int.xmodel" and read_xmodel(path).ops["x"].tensor.shape == (1, 4)
    assert not caplog.records
    xmodel_file(relu("batch"), tmp_path, True, None)
    assert "Q1467 export_xmodel (QUANTIZER_TORCH_XMODEL_BATCHSIZE)" in caplog.text
    caplog.clear()
    xmodel_file(relu(3), tmp_path, False, None)
    assert "Q1467" in caplog.text and "3 samples" in caplog.text

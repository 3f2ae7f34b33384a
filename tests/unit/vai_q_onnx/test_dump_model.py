"""`dump_model` as scripts call it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import vai_q_onnx
from quantforge.diagnostics import InputError
from tests.unit.frontends.onnx.text_models import random
from tests.unit.vai_q_onnx.test_quantize_static import Reader, network

X = random(2, 3, 8, 8, seed=0)


@pytest.fixture(scope="module", params=["QDQ", "FixNeuron"])
def path(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dump")
    onnx.save(network(), folder / "float.onnx")
    format = {"QDQ": vai_q_onnx.QuantFormat.QDQ, "FixNeuron": vai_q_onnx.VitisQuantFormat.FixNeuron}[
        request.param
    ]
    vai_q_onnx.quantize_static(
        folder / "float.onnx",
        folder / "q.onnx",
        Reader(),
        quant_format=format,
        enable_dpu=True,
        print_summary=False,
    )
    return Path(folder / "q.onnx")


def test_the_call_of_the_user_guide(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    vai_q_onnx.dump_model(str(path), dump_data_reader=Reader(), output_dir="./dump_results", dump_float=False)
    names = {file.name for file in (tmp_path / "dump_results").iterdir()}
    assert {"quant_x.bin", "quant_x.txt", "quant_w1.bin", "quant_b1.bin", "quant_y.txt"} <= names
    assert not any("float" in name for name in names)
    (scale,) = (
        onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer if t.name == "x_scale"
    )
    want = np.clip(np.rint(X / scale), -128, 127).astype(np.int8)
    found = np.fromfile(tmp_path / "dump_results" / "quant_x.bin", np.int8).reshape(2, 3, 8, 8)
    np.testing.assert_array_equal(found, want)


def test_random_data_arrays_and_the_older_order_of_arguments(path: Path, tmp_path: Path) -> None:
    vai_q_onnx.dump_model(path, None, [1, 3, 8, 8], True, tmp_path / "random")
    assert (tmp_path / "random" / "quant_x_float.bin").stat().st_size == 4 * 3 * 64
    vai_q_onnx.dump_model(path, X, str(tmp_path / "array"), False)
    assert (tmp_path / "array" / "quant_x.bin").stat().st_size == X.size


def test_a_reader_at_its_end_is_an_error(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Q0711 dump_data_reader: found no batch"):
        vai_q_onnx.dump_model(path, Reader(batches=0), output_dir=tmp_path)

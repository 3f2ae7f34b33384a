"""Files: streamed weights, external data, and folders that cannot be written."""

from __future__ import annotations

import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import emit, import_model, to_proto
from quantforge.frontends.onnx.emit import tensor_proto

from .text_models import model, random, run

TEXT = "g (float[2,64] x) => (y) { m = MatMul(x, w) y = Add(m, b) }"
GRAPH = import_model(model(TEXT, w=random(64, 32), b=random(32)))
FEEDS = {"x": random(2, 64)}
WANT = run(to_proto(GRAPH), FEEDS)[0]


def test_the_file_is_the_proto(tmp_path: Path) -> None:
    path = emit(GRAPH, tmp_path / "out.onnx", recipe="none")
    onnx.checker.check_model(str(path), full_check=True)
    assert onnx.load(str(path)) == to_proto(GRAPH, recipe="none")
    assert np.array_equal(run(path, FEEDS)[0], WANT)
    assert [p.name for p in tmp_path.iterdir()] == ["out.onnx"]


def test_same_graph_same_bytes(tmp_path: Path) -> None:
    first = emit(GRAPH, tmp_path / "a.onnx").read_bytes()
    assert emit(GRAPH, tmp_path / "b.onnx").read_bytes() == first


def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    path = emit(GRAPH, tmp_path / "out.onnx", external_data=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.onnx", "out.onnx.data"]
    assert path.stat().st_size < 1000
    onnx.checker.check_model(str(path), full_check=True)
    assert np.array_equal(run(path, FEEDS)[0], WANT)
    assert not import_model(path).value("w").const.flags.owndata  # type: ignore[union-attr]


def test_a_model_can_be_written_over_its_source(tmp_path: Path) -> None:
    path = emit(GRAPH, tmp_path / "model.onnx")
    emit(import_model(path), path)
    assert np.array_equal(run(path, FEEDS)[0], WANT)


def test_a_missing_folder_and_a_file_for_a_folder(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"Q0601 .*out.onnx: found No such file or directory; expected a path that can"
    ):
        emit(GRAPH, tmp_path / "absent" / "out.onnx")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"Q0601"):
        emit(GRAPH, tmp_path / "file" / "out.onnx")
    with pytest.raises(InputError, match=r"Q0601"):
        emit(GRAPH, tmp_path)


def test_a_failure_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys.modules["quantforge.frontends.onnx.emit"], "_write_array", full)
    for external in (False, True):
        with pytest.raises(InputError, match=r"Q0601 .*No space left"):
            emit(GRAPH, tmp_path / "out.onnx", external_data=external)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "int8", "int64", "bool", "uint16", ml_dtypes.bfloat16, ml_dtypes.int4]
)
def test_tensors_of_every_type(dtype: object) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)  # type: ignore[call-overload]
    back = numpy_helper.to_array(tensor_proto("t", array))
    assert back.dtype == array.dtype and np.array_equal(back, array)


def test_strings_and_scalars() -> None:
    assert tensor_proto("t", np.array(["a", "b"], object)).string_data == [b"a", b"b"]
    assert numpy_helper.to_array(tensor_proto("t", np.float32(2.5) * np.ones(()))).shape == ()

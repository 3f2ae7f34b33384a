"""The library that registers nothing: ONNX Runtime loads it, and the documents' script runs."""

from __future__ import annotations

import logging
import platform
import shutil
import struct
import sys
from pathlib import Path

import onnx
import onnxruntime as ort
import pytest

import vai_q_onnx
from quantforge.diagnostics import InputError, UnsupportedError
from tests.unit.frontends.onnx.text_models import model, random
from tests.unit.vai_q_onnx.test_quantize_static import Reader, network
from vai_q_onnx import custom_library
from vai_q_onnx.custom_library import compiled_library, elf_library, get_library_path

HERE = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")


def registered(path: str) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.register_custom_ops_library(path)
    return options


@pytest.mark.skipif(not HERE and shutil.which("cc") is None, reason="no library for this machine")
@pytest.mark.parametrize("device", ["cpu", "CPU", "cuda", "ROCM"])
def test_onnx_runtime_loads_it(device: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="vai_q_onnx"):
        options = registered(get_library_path(device))
    assert "Q0712 get_library_path" in caplog.text
    proto = model("g (float[N] x) => (float[N] y) { y = Neg (x) }")
    assert ort.InferenceSession(proto.SerializeToString(), options).run(None, {"x": random(2)})[0].shape == (
        2,
    )


@pytest.mark.skipif(not HERE and shutil.which("cc") is None, reason="no library for this machine")
@pytest.mark.parametrize(
    "format", [vai_q_onnx.VitisQuantFormat.QDQ, vai_q_onnx.VitisQuantFormat.FixNeuron], ids=str
)
def test_the_script_of_the_documents(format: vai_q_onnx.VitisQuantFormat, tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "float.onnx")
    model_output = str(tmp_path / "q.onnx")
    vai_q_onnx.quantize_static(
        str(tmp_path / "float.onnx"), model_output, Reader(), quant_format=format, print_summary=False
    )
    from vai_q_onnx.operators.vai_ops.qdq_ops import vai_dquantize  # noqa: F401

    so = ort.SessionOptions()
    so.register_custom_ops_library(vai_q_onnx.get_library_path())
    sess = ort.InferenceSession(model_output, so)
    input_name = sess.get_inputs()[0].name
    assert sess.run(None, {input_name: random(2, 3, 8, 8)})[0].shape == (2, 4)


def test_it_is_kept_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom_library, "_places", lambda: (tmp_path / "missing", tmp_path / "cache"))
    monkeypatch.setattr(custom_library, "_contents", lambda: b"the library")
    path = Path(get_library_path())
    assert path.parent == tmp_path / "cache" and path.read_bytes() == b"the library"
    path.write_bytes(b"something else")
    assert Path(get_library_path()).read_bytes() == b"the library"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_library_of_a_compiler(tmp_path: Path) -> None:
    (tmp_path / "made.so").write_bytes(compiled_library())
    registered(str(tmp_path / "made.so"))


def test_without_a_compiler_it_says_that_nothing_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(
        UnsupportedError, match=r"Q0712 .*no C compiler.*leave register_custom_ops_library out"
    ):
        compiled_library()


def test_the_layout_of_the_file() -> None:
    data = elf_library(183, bytes(8))
    assert data[:7] == b"\x7fELF\x02\x01\x01"
    kind, machine = struct.unpack_from("<HH", data, 16)
    assert (kind, machine) == (3, 183)
    (offset,), (size, count) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<HH", data, 54)
    rows = [struct.unpack_from("<IIQQQQQQ", data, offset + i * size) for i in range(count)]
    assert [row[0] for row in rows] == [1, 1, 2, 0x6474E551]
    assert all(row[2] % max(row[7], 1) == row[3] % max(row[7], 1) for row in rows), "as loaders demand"
    assert rows[1][2] + rows[1][5] == len(data)


@pytest.mark.parametrize("device", ["npu", "", None])
def test_other_devices_are_refused(device: str) -> None:
    with pytest.raises(InputError, match="Q0702 device: found "):
        get_library_path(device)

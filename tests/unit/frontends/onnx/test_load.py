"""Loading: files that are no models, external data, mapping."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.load import load_model

from .text_models import model, random

TEXT = "g (float[2,64] x) => (y) { y = MatMul(x, w) }"
WEIGHTS = random(64, 32)


def saved(folder: Path, **options: object) -> Path:
    path = folder / "model.onnx"
    onnx.save(model(TEXT, w=WEIGHTS), str(path), **options)
    return path


def external(folder: Path) -> Path:
    return saved(folder, save_as_external_data=True, location="weights.bin", size_threshold=0)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_weights_are_taken_out_of_the_proto(tmp_path: Path, as_bytes: bool) -> None:
    path = saved(tmp_path)
    loaded = load_model(path.read_bytes() if as_bytes else path)
    assert np.array_equal(loaded.arrays["w"], WEIGHTS)
    assert loaded.arrays["w"].flags.aligned
    assert loaded.model.ByteSize() < 300


def test_external_data_is_mapped_not_copied(tmp_path: Path) -> None:
    loaded = load_model(external(tmp_path))
    array = loaded.arrays["w"]
    assert np.array_equal(array, WEIGHTS)
    assert not array.flags.owndata and not array.flags.writeable


def test_a_model_of_three_gigabytes_loads_in_no_memory(tmp_path: Path) -> None:
    import resource

    size = 3 << 30
    proto = model("g (float[1,16384] x) => (y) { y = MatMul(x, w) }")
    tensor = proto.graph.initializer.add(
        name="w", data_type=TensorProto.FLOAT, dims=[16384, size // 4 // 16384]
    )
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "huge.bin"), ("length", str(size))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    with (tmp_path / "huge.bin").open("wb") as file:
        file.truncate(size)
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert load_model(tmp_path / "model.onnx").arrays["w"].nbytes == size
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"hello, this is not a model at all", "bytes that do not parse"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "a Git LFS pointer"),
        (b"PK\x03\x04rest of a zip", "a zip archive"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x1c\x00\x00\x00TFL3\x14\x00", "a TensorFlow Lite model"),
        (b'{"model": 1}', "JSON text"),
    ],
)
def test_what_is_no_model_is_named(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"Q0101 .*model.onnx: found .*{found}.*; expected an ONNX model"):
        load_model(path)


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(InputError, match=r"Q0101"):
        load_model(path)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    saved(tmp_path)
    with pytest.raises(InputError, match=r"Q0102 .*absent.onnx: found no such file.*try: one of model.onnx"):
        load_model(tmp_path / "absent.onnx")
    with pytest.raises(InputError, match=r"Q0103 .*found a folder"):
        load_model(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.chmod(0)
    with pytest.raises(InputError, match=r"Q0104"):
        load_model(path)


def test_an_unreadable_path_whoever_runs_this() -> None:
    with pytest.raises(InputError, match=r"Q0104 .*found .*; expected a readable file"):
        load_model("x" * 5000 + ".onnx")


def test_missing_and_short_external_data(tmp_path: Path) -> None:
    path = external(tmp_path)
    data = tmp_path / "weights.bin"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(
        InputError, match=r"Q0106 .*initializer 'w': found 100 bytes.*expected bytes 0 to 8192"
    ):
        load_model(path)
    data.unlink()
    with pytest.raises(InputError, match=r"Q0106 .*no readable file .*weights.bin"):
        load_model(path)
    with pytest.raises(InputError, match=r"Q0106 .*given without its file"):
        load_model(path.read_bytes())


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "", "sub/../../secret.bin"])
def test_external_data_may_not_escape(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    path = external(folder)
    (tmp_path / "secret.bin").write_bytes(b"\0" * 8192)
    proto = onnx.load(str(path), load_external_data=False)
    proto.graph.initializer[0].external_data[0].value = location
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(InputError, match=r"Q0107 .*expected a path inside the model's own folder"):
        load_model(path)


def test_a_link_out_of_the_folder_is_an_escape(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    path = external(folder)
    (folder / "weights.bin").rename(tmp_path / "elsewhere.bin")
    (folder / "weights.bin").symlink_to(tmp_path / "elsewhere.bin")
    with pytest.raises(InputError, match=r"Q0107"):
        load_model(path)


def test_a_model_and_its_data_may_be_links_into_one_store(tmp_path: Path) -> None:
    store, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    store.mkdir()
    snapshot.mkdir()
    external(store)
    for name in ("model.onnx", "weights.bin"):
        (snapshot / name).symlink_to(store / name)
    assert np.array_equal(load_model(snapshot / "model.onnx").arrays["w"], WEIGHTS)


def test_a_tensor_whose_bytes_do_not_fit() -> None:
    proto = model(TEXT, w=WEIGHTS)
    proto.graph.initializer[0].dims[0] = 63
    with pytest.raises(InputError, match=r"Q0108 .*tensor 'w'"):
        load_model(proto.SerializeToString())


def test_names_that_are_not_text() -> None:
    data = model(TEXT, w=WEIGHTS).SerializeToString().replace(b"MatMul", b"Mat\xb6ul")
    with pytest.raises(InputError, match=r"Q0101 .*text that is not UTF-8"):
        load_model(data)


def test_sparse_initializers_become_dense() -> None:
    proto = model("g (float[2,3] x) => (y) { y = Add(x, s) }")
    values = numpy_helper.from_array(np.array([1.5, 2.5], np.float32), "s")
    indices = numpy_helper.from_array(np.array([0, 5], np.int64))
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 3]))
    assert load_model(proto).arrays["s"].tolist() == [[1.5, 0, 0], [0, 0, 2.5]]


def test_four_bit_weights_are_unpacked() -> None:
    proto = model("g (float[2] x) => (y) { y = Relu(x) }", opset=21, ir_version=10)
    proto.graph.initializer.append(
        helper.make_tensor("w", TensorProto.INT4, [4096], [i % 16 - 8 for i in range(4096)])
    )
    assert load_model(proto.SerializeToString()).arrays["w"].astype(int)[:4].tolist() == [-8, -7, -6, -5]

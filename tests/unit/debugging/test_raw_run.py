"""Runs on raw files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantforge.debugging.names import layer_file
from quantforge.debugging.observe import Observer
from quantforge.debugging.raw_run import open_runner, read_inputs, read_outputs, run_files, run_op_files
from quantforge.diagnostics import InputError
from quantforge.xmodel.model import XModel
from tests.compiled_xmodels import ModelBuilder, classifier

IMAGE = np.random.default_rng(0).integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)


def two_inputs(batch: int = 1) -> XModel:
    """b - which is named before a - and a, added."""
    b = ModelBuilder()
    shape = (batch, 1, 1, 4)
    second, first = b.data(shape, 0, name="second"), b.data(shape, 0, name="a_first")
    uploads = [b.op("upload", [name], shape, 0) for name in (second, first)]
    both = b.op("concat-fix", uploads, (batch, 1, 1, 8), 0, axis=3)
    b.op("download", [both], (batch, 1, 1, 8), 0, name="out")
    return b.finish()


def raw(folder: Path, *values: int) -> list[Path]:
    paths = [folder / f"{index}.in" for index in range(len(values))]
    for path, value in zip(paths, values, strict=True):
        np.full(4, value, np.int8).tofile(path)
    return paths


def test_a_subgraph_and_the_whole_model(tmp_path: Path) -> None:
    model = classifier()
    IMAGE.tofile(tmp_path / "in.bin")
    made = Observer(model, "ref").run({"image": IMAGE})
    with open_runner(model, 1) as runner:
        (path,) = run_files(runner, [tmp_path / "in.bin"], tmp_path)
    assert path.name == "0.logits_t.bin" and path.read_bytes() == made["logits"].tobytes()
    with open_runner(model, -1, "ref") as runner:
        (path,) = run_files(runner, [tmp_path / "in.bin"], tmp_path)
    assert path.name == "0.probabilities_t.bin" and path.read_bytes() == made["probabilities"].tobytes()


def test_files_go_by_the_names_of_tensors_and_start_over(tmp_path: Path) -> None:
    with open_runner(two_inputs(), -1) as runner:
        second, first = read_inputs(runner, raw(tmp_path, 1, 2))
        assert (first.flat[0], second.flat[0]) == (1, 2)  # a_first_t sorts before second_t
    with open_runner(two_inputs(batch=2), -1) as runner:
        second, first = read_inputs(runner, raw(tmp_path, 1, 2, 3))
        assert first[:, 0, 0, 0].tolist() == [1, 3] and second[:, 0, 0, 0].tolist() == [2, 1]
        assert len(run_files(runner, raw(tmp_path, 1), tmp_path)) == 2


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    with open_runner(two_inputs(), -1) as runner:
        with pytest.raises(InputError, match=r"Q1311 .*none; expected a_first_t \[1, 1, 1, 4\], second_t"):
            read_inputs(runner, [])
        (tmp_path / "short").write_bytes(b"123")
        with pytest.raises(InputError, match=r"Q1311 .*3 bytes; expected 4: one sample of XINT8"):
            read_inputs(runner, [tmp_path / "short"])
        with pytest.raises(InputError, match="Q1311"):
            read_outputs(runner, [tmp_path / "missing"])


def reference(folder: Path, model: XModel) -> dict[str, np.ndarray]:
    made = Observer(model, "ref").run({"image": IMAGE})
    for name, array in made.items():
        array.tofile(folder / f"{layer_file(model.ops[name].tensor.name)}.bin")
    return made


@pytest.mark.parametrize(
    "kind", ["conv2d-fix", "eltwise-fix", "pool-fix", "download", "fix2float", "softmax"]
)
def test_one_operator_on_files(tmp_path: Path, kind: str) -> None:
    model = classifier()
    made = reference(tmp_path, model)
    op = next(op for op in model.ops.values() if op.kind == kind)
    found = run_op_files(model, op.name, tmp_path, tmp_path / "dump")
    assert found.passed and found.dump.read_bytes() == made[op.name].tobytes()
    expected = tmp_path / found.dump.name
    expected.write_bytes(bytes([1]) * expected.stat().st_size)
    found = run_op_files(model, op.name, tmp_path, tmp_path / "dump")
    assert not found.passed and found.different > 0
    expected.unlink()
    assert run_op_files(model, op.name, tmp_path, tmp_path / "dump").expected is None


def test_a_reference_folder_without_the_inputs(tmp_path: Path) -> None:
    model = classifier()
    with pytest.raises(InputError, match=r"Q1312 .*no file image_t\.bin"):
        run_op_files(
            model, next(op.name for op in model.ops.values() if op.kind == "upload"), tmp_path, tmp_path
        )
    with pytest.raises(InputError, match="Q1302"):
        run_op_files(model, "missing", tmp_path, tmp_path)
    (tmp_path / "logits_t.bin").write_bytes(b"1")
    bridge = next(op.name for op in model.ops.values() if op.kind == "fix2float")
    with pytest.raises(InputError, match=r"Q1311 .*1 bytes"):
        run_op_files(model, bridge, tmp_path, tmp_path)

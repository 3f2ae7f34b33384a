"""Bad input, end to end: a coded error that names the thing and the next step, and nothing left on disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import quantforge
from quantforge.cli import main
from quantforge.diagnostics import QuantforgeError
from quantforge.quantization.recipe import named_recipe
from tests.unit.frontends.onnx.text_models import model, random

TEXT = """
small (float[N, 3, 8, 8] x) => (float[N, 4] y) {
  c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w1, b1)
  r = Relu (c)
  p = GlobalAveragePool (r)
  f = Flatten (p)
  y = Gemm <transB = 1> (f, w2, b2)
}
"""
OVERFLOWS = """
hot (float[N, 3, 8, 8] x) => (float[N, 5, 8, 8] y) {
  c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w1, b1)
  e = Exp (c)
  y = Conv <kernel_shape = [1, 1]> (e, w3)
}
"""
WEIGHTS = {
    "w1": random(5, 3, 3, 3),
    "b1": random(5, seed=1),
    "w2": random(4, 5, seed=2),
    "b2": random(4, seed=3),
}


def small(**replaced: np.ndarray) -> Any:
    return model(TEXT, **{**WEIGHTS, **replaced})


def images(count: int = 6) -> np.ndarray:
    return random(count, 3, 8, 8, seed=4)


@dataclass(frozen=True)
class Case:
    """What is on disk, and the error it must give."""

    code: str
    names: str  # what the error must name
    model: Callable[[], bytes] = lambda: small().SerializeToString()
    data: Callable[[Path], Path | np.ndarray] = lambda folder: images()

    def files(self, folder: Path) -> tuple[str, str]:
        path = folder / "small.onnx"
        path.write_bytes(self.model())
        data = self.data(folder)
        if isinstance(data, Path):
            return str(path), str(data)
        np.save(folder / "data.npy", data)
        return str(path), str(folder / "data.npy")


def damaged() -> bytes:
    whole = small().SerializeToString()
    return whole[:40] + b"\xff" * 40 + whole[80:]


def truncated() -> bytes:
    whole = small().SerializeToString()
    return whole[: len(whole) // 2]


def short_tensor() -> bytes:
    proto = small()
    proto.graph.initializer[0].raw_data = proto.graph.initializer[0].raw_data[:-4]
    return bytes(proto.SerializeToString())


def hot() -> bytes:
    weights = {"w1": 100 * WEIGHTS["w1"], "b1": WEIGHTS["b1"], "w3": random(5, 5, 1, 1)}
    return bytes(model(OVERFLOWS, **weights).SerializeToString())


def poisoned(bad: float) -> Callable[[], bytes]:
    weights = WEIGHTS["w1"].copy()
    weights[0, 0, 0, 0] = bad
    return lambda: bytes(small(w1=weights).SerializeToString())


def with_value(bad: float) -> Callable[[Path], np.ndarray]:
    data = images()
    data[4, 0, 0, 0] = bad
    return lambda folder: data


def empty_folder(folder: Path) -> Path:
    (folder / "nothing").mkdir()
    return folder / "nothing"


def misnamed(folder: Path) -> Path:
    np.savez(folder / "data.npz", image=images(), label=np.zeros(6, np.int64))
    return folder / "data.npz"


def half_a_file(folder: Path) -> Path:
    np.save(folder / "whole.npy", images())
    bytes_ = (folder / "whole.npy").read_bytes()
    (folder / "half.npy").write_bytes(bytes_[: len(bytes_) // 2])
    return folder / "half.npy"


CASES = {
    "damaged model": Case("Q0101", "small.onnx", damaged),
    "truncated model": Case("Q0101", "small.onnx", truncated),
    "damaged weights": Case("Q0108", "'w1'", short_tensor),
    "empty file": Case("Q0101", "an empty file", lambda: b""),
    "not ONNX": Case(
        "Q0101", "small.onnx", lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    ),
    "no samples": Case("Q0201", "calibration data", data=lambda folder: images(0)),
    "empty folder": Case("Q0207", "nothing", data=empty_folder),
    "no such data": Case("Q0207", "absent", data=lambda folder: folder / "absent"),
    "half an array": Case("Q0207", "half.npy", data=half_a_file),
    "wrong size": Case("Q0210", "input 'x'", data=lambda folder: random(6, 3, 7, 8)),
    "channels last": Case("Q0210", "transpose it with (0, 3, 1, 2)", data=lambda folder: random(6, 8, 8, 3)),
    "wrong rank": Case("Q0210", "input 'x'", data=lambda folder: random(6, 8)),
    "bytes": Case("Q0209", "dtype uint8", data=lambda folder: np.zeros((6, 3, 8, 8), np.uint8)),
    "text": Case("Q0209", "input 'x'", data=lambda folder: np.full((6, 3, 8, 8), "a")),
    "wrong input name": Case("Q0208", "'image', 'label'", data=misnamed),
    "NaN in the data": Case("Q0203", "input 'x'", data=with_value(np.nan)),
    "infinity in the data": Case("Q0203", "1 +inf", data=with_value(np.inf)),
    "infinity in the model": Case("Q0203", "'e', computed by", hot, lambda folder: 9 * images()),
    "NaN in the weights": Case("Q0110", "'w1'", poisoned(np.nan)),
    "infinity in the weights": Case("Q0110", "'w1'", poisoned(-np.inf)),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for input; temporary files would land in a second one, which must stay empty, as must `out`."""
    for name in ("in", "out", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield tmp_path / "in"
    left = {path.name for path in (tmp_path / "temporary").iterdir()}
    assert left <= {".ses"}  # ONNX Runtime's own, made when it is imported
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_from_python(case: Case, folder: Path) -> None:
    path, data = case.files(folder)
    with pytest.raises(QuantforgeError) as caught:
        quantforge.quantize(path, data, output=folder.parent / "out" / "q.onnx")
    assert caught.value.diagnostic.code == case.code
    assert case.names in str(caught.value)
    assert caught.value.diagnostic.fix


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_from_the_command_line(case: Case, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, data = case.files(folder)
    out = folder.parent / "out"
    command = ["quantize", path, "--data", data, "-o", str(out / "q.onnx"), "--report", str(out / "report")]
    assert main(command) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"{case.code} ") and case.names in printed.err
    assert "\n  try " in printed.err and "Traceback" not in printed.err


def test_a_model_that_is_not_there(folder: Path) -> None:
    (folder / "near.onnx").write_bytes(small().SerializeToString())
    with pytest.raises(QuantforgeError, match=r"Q0102 .*absent.onnx.* try: one of near.onnx"):
        quantforge.quantize(folder / "absent.onnx", images())


@pytest.mark.parametrize(
    ("data", "code", "names"),
    [
        ([], "Q0201", "no batch"),
        ([{"y": images(2)}], "Q0208", "'y'"),
        ([{"x": images(2)}, {"x": images(2)[:, :2]}], "Q0210", "item 1"),
        ([{"x": images(2).astype(np.int32)}], "Q0209", "int32"),
        (3, "Q0207", "int"),
    ],
    ids=["empty list", "name", "shape of the second item", "dtype", "a number"],
)
def test_python_data_that_does_not_fit(data: object, code: str, names: str, folder: Path) -> None:
    with pytest.raises(QuantforgeError) as caught:
        quantforge.quantize(small(), data, output=folder.parent / "out" / "q.onnx")
    assert caught.value.diagnostic.code == code and names in str(caught.value)


def test_a_reader_that_raises_half_way(folder: Path) -> None:
    class Reader:
        left = 3

        def get_next(self) -> dict[str, np.ndarray] | None:
            self.left -= 1
            if not self.left:
                raise RuntimeError("the camera is gone")
            return {"x": images(2)}

    sketches = folder.parent / "out" / "sketches.npz"
    with pytest.raises(
        QuantforgeError, match=r"Q0202 .*batch 2: found RuntimeError: the camera is gone"
    ) as caught:
        quantforge.quantize(small(), Reader(), output=folder.parent / "out" / "q.onnx", sketches=sketches)
    assert isinstance(caught.value.__cause__, RuntimeError)


def blocked(folder: Path, kind: str) -> Path:
    """An output path that cannot be written, also by root."""
    if kind == "no folder":
        return folder / "absent" / "q.onnx"
    if kind == "a file for a folder":
        (folder / "file").write_text("x")
        return folder / "file" / "q.onnx"
    (folder / "taken").mkdir()
    return folder / "taken"


KINDS = ["no folder", "a file for a folder", "a folder itself"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_that_cannot_be_written(
    kind: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, data = Case("", "").files(folder)
    target = blocked(folder, kind)
    before = sorted(folder.rglob("*"))

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("calibration ran although the output cannot be written")

    monkeypatch.setattr("quantforge.quantization.flow.calibrate", refuse)
    with pytest.raises(QuantforgeError, match=f"Q0601 .*{target.name}"):
        quantforge.quantize(path, data, output=target)
    assert main(["quantize", path, "--data", data, "-o", str(target)]) == 2
    assert "Q0601" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("kind", KINDS[:2])
def test_sketches_and_reports_that_cannot_be_written(
    kind: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, data = Case("", "").files(folder)
    target = blocked(folder, kind)
    command = ["quantize", path, "--data", data, "-o", str(folder.parent / "out" / "q.onnx")]
    assert main([*command, "--sketches", str(target)]) == 2
    assert "Q0601" in capsys.readouterr().err
    if kind != "no folder":  # which would be made
        assert main([*command, "--report", str(target)]) == 2
        assert "Q0601" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", ["dpu-cnn", "cpu-cnn", "npu-transformer"])
@pytest.mark.parametrize(("value", "code"), [(0.0, "Q0204"), (1.5, "Q0205")], ids=["all zero", "constant"])
def test_a_tensor_that_never_varies_is_noticed_and_right(
    value: float, code: str, recipe: str, folder: Path
) -> None:
    data = np.full((4, 3, 8, 8), value, np.float32)
    result = quantforge.quantize(small(), data, recipe=recipe)
    notices = {notice.where: notice for notice in result.report.notices}
    assert notices["input 'x'"].code == code
    expected, found = run(small(), data), run(result.model, data)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, atol=0.05 * float(np.abs(expected).max()))


@pytest.mark.parametrize("recipe", ["dpu-cnn", "cpu-cnn", "npu-transformer"])
@pytest.mark.parametrize("weight", [0.0, 0.75], ids=["all zero", "constant"])
def test_weights_that_never_vary_give_a_right_model(weight: float, recipe: str, folder: Path) -> None:
    source = small(w1=np.full((5, 3, 3, 3), weight, np.float32), b1=np.zeros(5, np.float32))
    result = quantforge.quantize(source, images(16), recipe=recipe)
    expected, found = run(source, images(16)), run(result.model, images(16))
    np.testing.assert_allclose(found, expected, atol=0.1 * float(np.abs(expected).max()))
    tensor = result.report.tensor("w1")
    if named_recipe(recipe).equalize is not None and weight:
        return  # equalization has made its channels differ
    assert tensor is not None and tensor.notes == (f"constant {weight:g}" if weight else "all zeros",)


def run(proto: Any, data: np.ndarray) -> np.ndarray:
    """What stock ONNX Runtime computes."""
    onnx.checker.check_model(proto)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": data})[0])


def test_interrupting_the_python_door_leaves_nothing(folder: Path) -> None:
    def interrupted() -> Iterator[dict[str, np.ndarray]]:
        yield {"x": images(2)}
        raise KeyboardInterrupt

    out = folder.parent / "out"
    with pytest.raises(KeyboardInterrupt):
        quantforge.quantize(small(), interrupted(), output=out / "q.onnx", sketches=out / "sketches.npz")


SLOW_READER = """
import sys, time, numpy, quantforge.calibration.arrays as arrays
from quantforge.cli import main
blocks = arrays.ArrayFile.blocks
def slow(self, rows):
    for number, block in enumerate(blocks(self, 1)):
        print("block", number, flush=True)
        yield block
        time.sleep(0.05)
arrays.ArrayFile.blocks = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is sent otherwise on Windows")
def test_ctrl_c_during_calibration(folder: Path) -> None:
    path, data = Case("", "", data=lambda folder: images(400)).files(folder)
    out = folder.parent / "out"
    words = ["quantize", path, "--data", data, "--batch", "1", "-o", str(out / "q.onnx")]
    words += ["--report", str(out / "report"), "--sketches", str(out / "sketches.npz")]
    command = [sys.executable, "-c", SLOW_READER, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "block 3\n":
                break
        time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.lstrip().startswith("Q0003 Interrupted") and "Traceback" not in err

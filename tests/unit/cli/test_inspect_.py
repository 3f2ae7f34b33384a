"""``quantforge inspect``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantforge.cli import main
from quantforge.frontends.onnx import emit, import_model
from quantforge.graph import QuantSpec
from quantforge.numerics.formats import INT8
from quantforge.xmodel.write import write_xmodel
from tests.unit.inspection.models import Build

ENDINGS = ("txt", "json", "gv", "svg", "png", "html")
TARGET = "DPUCZDX8G_ISA1_B4096"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """conv 3x3, batch normalization, softmax, with a batch of any size."""
    random = np.random.default_rng(1)
    weights = {
        "w": random.normal(size=(8, 3, 3, 3)),
        **{name: random.uniform(0.5, 1.5, 8) for name in ("gamma", "beta", "mean", "var")},
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "gamma", "beta", "mean", "var"], ["n"], "norm"),
        helper.make_node("Softmax", ["n"], ["y"], "softmax", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8, 8, 8])],
        [numpy_helper.from_array(data.astype(np.float32), name) for name, data in weights.items()],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def output(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["inspect", *map(str, words)]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["inspect", *map(str, words)]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("target", [TARGET, "zcu102", "0x0101000056010407"])
def test_the_summary(model: Path, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, model, "--target", target)
    assert TARGET in text
    assert "1 of 2 operators on the CPU" in text  # the normalization is folded
    assert "no_dpu_pattern: softmax" in text and "try: " in text


def test_all_files_in_a_new_folder(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "reports"
    text = output(capsys, model, "--target", "ZCU102", "--folder", folder)
    paths = [folder / f"inspect_{TARGET}.{ending}" for ending in ENDINGS]
    assert sorted(folder.iterdir()) == sorted(paths)
    assert all(path.stat().st_size > 200 and f"wrote {path}" in text for path in paths)
    assert paths[4].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("option", "start"),
    [
        ("--text", b"Fields"), ("--json", b'{"version"'), ("--gv", b"digraph"), ("--svg", b"<svg"),
        ("--png", b"\x89PNG"), ("--html", b"<!doctype html>"),
    ],
)  # fmt: skip
def test_one_file(
    model: Path, tmp_path: Path, option: str, start: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    output(capsys, model, "--target", "ZCU102", option, tmp_path / "out")
    assert (tmp_path / "out").read_bytes().startswith(start)


def test_an_arch_json(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arch = tmp_path / "arch.json"
    arch.write_text('{"fingerprint": "0x020200000010002a"}')
    assert "DPUCAHX8H_ISA2 (0x020200000010002a)" in output(capsys, model, "--target", arch)


def test_an_unknown_batch_is_the_targets_own(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.json"
    output(capsys, model, "--target", "DPUCADF8H_ISA0", "--json", path)
    rows = {row["name"]: row for row in json.loads(path.read_text())["operators"]}
    assert rows["x"]["shape"] == [4, 8, 8, 3]
    assert rows["n"]["device"] == "DPU"


def test_shapes_of_inputs(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out.json"
    output(capsys, model, "--target", "ZCU102", "--input-shape", "x=2,3,8,8", "--json", path)
    assert json.loads(path.read_text())["operators"][0]["shape"] == [2, 8, 8, 3]


def test_a_quantized_onnx_model(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = import_model(str(model))
    spec = QuantSpec.power_of_two(INT8, 5)
    for name in ("x", "w"):
        graph.set_value(replace(graph.value(name), quant=spec))
    path = tmp_path / "quantized.onnx"
    emit(graph, path)
    text = output(capsys, path, "--target", "ZCU102")
    assert "quantization: its output goes unquantized into 'n' (scale)" in text


def test_an_xmodel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = Build(fixed=True)
    build.unary("relu", build.conv(build.data((1, 8, 8, 8)), fix=False))
    build.model.root.ops = list(build.model.ops)
    path = tmp_path / "net.xmodel"
    write_xmodel(build.model, path)
    assert "all 2 operators on the DPU" in output(capsys, path, "--target", "KV260")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--target", "ZCU999"], "Q1000"),
        (["--target", "0xzz"], "Q1002"),
        (["--target", "ZCU102", "--input-shape", "x=1,three"], "Q1030"),
        (["--target", "ZCU102", "--input-shape", "1,3,8,8"], "Q1030"),
        (["--target", "ZCU102", "--input-shape", "z=1,3,8,8"], "Q1150"),
        (["--target", "ZCU102", "--json", "/nowhere/at/all.json"], "Q0601"),
        (["--target", "ZCU102", "--folder", "/dev/null/x"], "Q0601"),
        ([], "Q0002"),
    ],
)
def test_bad_options(model: Path, words: list[str], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code in refused(capsys, model, *words)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("none.onnx", None, "Q0102"),
        ("bad.onnx", b"no model", "Q0101"),
        ("none.xmodel", None, "Q0902"),
        ("bad.xmodel", b"\xff\xff no model", "Q0901"),
    ],
)
def test_bad_models(
    tmp_path: Path, name: str, content: bytes | None, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert code in refused(capsys, path, "--target", "ZCU102")

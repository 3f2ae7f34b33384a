"""Netron opens the files that we write: driven with the JavaScript of the PyPI package, its own file detection
included, and compared with what our reader says."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantforge.xmodel.model import XINT8, Attr, Subgraph, XModel
from quantforge.xmodel.read import read_xmodel
from quantforge.xmodel.write import write_xmodel
from tests.unit.xmodel.samples import PUBLISHED, add, const, data, fixed_tensor, small

SCRIPT = Path(__file__).parent / "open_model.mjs"
HIDDEN = ("device", "workload", "nonlinear")


@pytest.fixture(scope="module")
def netron(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Netron's JavaScript, marked as modules."""
    if shutil.which("node") is None:
        pytest.skip("node is not on this machine")
    found = importlib.util.find_spec("netron")
    if found is None or found.origin is None:
        pytest.skip("the package netron is not installed (extra: dev)")
    folder = tmp_path_factory.mktemp("netron")
    for source in Path(found.origin).parent.glob("*.js"):
        shutil.copy(source, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def opened(netron: Path, *files: Path) -> list[Any]:
    run = subprocess.run(
        ["node", str(SCRIPT), str(netron), *map(str, files)], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    answers: list[Any] = json.loads(run.stdout)
    return answers


def assert_shows(shown: dict[str, Any], model: XModel) -> None:
    """What Netron shows is what the model has: inputs, operators, arguments, types, attributes, constants."""
    reads = [name for op in model.ops.values() for name in op.producers]
    once = {
        op.name
        for op in model.ops.values()
        if op.kind in ("const", "const-fix") and reads.count(op.name) == 1
    }
    inputs = {op.name for op in model.ops.values() if op.kind in ("data", "data-fix")}
    nodes = [op for op in model.ops.values() if op.name not in once | inputs]
    assert (shown.get("error"), shown["format"], shown["name"]) == (None, "xmodel", model.name)
    assert {one["name"] for one in shown["inputs"]} == inputs
    assert [(one["name"], one["type"]) for one in shown["nodes"]] == [(op.name, op.kind) for op in nodes]
    for one, op in zip(shown["nodes"], nodes, strict=True):
        assert {each["name"]: tuple(each["from"]) for each in one["inputs"]} == op.args
        assert one["device"] == op.get("device")
        assert one["output"] == _type(model, op.name)
        expected = {name for name in op.attrs if name not in HIDDEN and not name.startswith("quant_")}
        assert set(one["attributes"]) - {"nonlinear"} == expected
        fused = op.get("nonlinear")
        assert one["fused"] == ([fused.lower()] if fused not in (None, "", "NONE") else [])
    sizes = {one["name"]: one["bytes"] for one in shown["initializers"]}
    assert sizes == {name: len(model.ops[name].get("data")) for name in once}


def _type(model: XModel, name: str) -> str | None:
    tensor = model.ops[name].tensor
    if tensor.dtype.letters == "INT":
        return None  # number 0 in the file, which Netron takes for "no type"
    return f"{str(tensor.dtype).lower()}[{','.join(map(str, tensor.shape))}]"


def fixed_model() -> XModel:
    """Fixed-point operators, and every kind of attribute that Netron knows on an operator."""
    model = XModel(
        "fixed",
        attrs={"origin": Attr("string", "onnx"), "libs_info": Attr("map_string_2_string", {"a": "b"})},
    )
    x = data(model, "x", (1, 4, 4, 2), XINT8)
    x.tensor = fixed_tensor("x", (1, 4, 4, 2), 5)
    const(model, "w", np.ones((3, 1, 1, 2)), XINT8)
    args = {"input": ("x",), "weights": ("w",)}
    made = add(model, "c", "conv2d-fix", args, kernel=(1, 1), stride=(1, 1), nonlinear="RELU", device="DPU")
    made.tensor = fixed_tensor("c", (1, 4, 4, 3), 4)
    made.attrs["workload"] = Attr("uint64", 2**63)
    for name, attr in {
        "flag": Attr("bool", False), "i32": Attr("int32", -3), "u32": Attr("uint32", 2**32 - 1),
        "i64": Attr("int64", -5), "f32": Attr("float", 0.5), "f64": Attr("double", 0.1),
        "fs": Attr("float_vec", (0.5, 1.0)), "us": Attr("uint32_vec", (1, 2)), "text": Attr("string", ""),
        "texts": Attr("string_vec", ("a", "")), "raw": Attr("bytes", b"\x00\xff"),
        "sizes": Attr("map_string_2_int32", {"REG_0": 12, "": -1}),
    }.items():  # fmt: skip
        made.attrs[name] = attr
    model.root.children = [Subgraph("in", ["x"]), Subgraph("dpu", ["c", "w"], attrs={"n": Attr("uint64", 1)})]
    return model


def test_netron_opens_what_we_write(netron: Path, tmp_path: Path) -> None:
    models = [small(), fixed_model()]
    files = [write_xmodel(model, tmp_path / f"{model.name}.xmodel") for model in models]
    first, second = opened(netron, *files)
    assert_shows(first, models[0])
    assert_shows(second, models[1])
    assert first["producer"] == "test" and second["producer"] == "onnx"
    attributes = second["nodes"][0]["attributes"]
    assert attributes["i32"] == ["int32", -3] and attributes["i64"] == ["int64", "-5"]
    assert attributes["u32"] == ["uint32", 2**32 - 1] and attributes["flag"] == ["boolean", False]
    assert attributes["f32"] == ["float32", 0.5] and attributes["f64"] == ["float64", 0.1]
    assert attributes["kernel"] == ["int32[]", [1, 1]] and attributes["fs"] == ["float32[]", [0.5, 1.0]]
    assert attributes["texts"] == ["string[]", ["a", ""]] and attributes["raw"] == ["byte[]", [0, 255]]
    assert attributes["sizes"] == ["map<string,int32>", {"REG_0": 12, "": -1}]


def test_netron_shows_a_rewritten_file_as_it_shows_the_published_one(netron: Path, tmp_path: Path) -> None:
    published = sorted(PUBLISHED.glob("*.xmodel"))
    if not published:
        pytest.skip(f"{PUBLISHED} is not there")
    models = [read_xmodel(path) for path in published]
    written = [
        write_xmodel(model, tmp_path / path.name) for model, path in zip(models, published, strict=True)
    ]
    before, after = opened(netron, *published), opened(netron, *written)
    for model, one, other in zip(models, before, after, strict=True):
        assert one == other
        assert_shows(other, model)


def test_netron_refuses_what_is_no_xmodel(netron: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.xmodel").write_bytes(b"\x0a\x01m")
    (answer,) = opened(netron, tmp_path / "cut.xmodel")
    assert "error" in answer

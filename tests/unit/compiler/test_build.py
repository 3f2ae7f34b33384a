from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from quantforge.compiler.build import build, md5_of
from quantforge.diagnostics import InputError
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import XModel
from quantforge.xmodel.read import read_xmodel
from tests.flat_xmodels import B4096, Net

TARGET = load_dpu(B4096)


@pytest.fixture
def model() -> XModel:
    net = Net()
    net.fix(net.conv("conv", net.data("x", (1, 8, 8, 16), 4), 16), 3)
    return net.done()


def test_a_folder(model: XModel, tmp_path: Path) -> None:
    built = build(model, TARGET, tmp_path / "deep" / "out", "my net")
    assert [path.name for path in built.files] == ["my_net.xmodel", "meta.json", "md5sum.txt"]
    data = built.files[0].read_bytes()
    assert built.md5 == hashlib.md5(data).hexdigest() == md5_of(built.files[0])
    assert built.files[2].read_text() == f"{built.md5}  my_net.xmodel\n"
    meta = json.loads(built.files[1].read_text())
    assert meta["fingerprint"] == "0x0101000056010407" and meta["kernel"] == ["subgraph_conv"]
    assert read_xmodel(built.files[0]).ops["conv"].kind == "conv2d-fix"
    assert built.text().endswith(f"saved to {built.files[0]}\nThe compiled xmodel's md5sum is {built.md5}")


def test_a_file(model: XModel, tmp_path: Path) -> None:
    built = build(model, TARGET, tmp_path / "a.xmodel")
    assert [path.name for path in tmp_path.iterdir()] == ["a.xmodel"] and len(built.files) == 1


def test_the_same_model_gives_the_same_bytes(model: XModel, tmp_path: Path) -> None:
    built = [build(model, TARGET, tmp_path / name).md5 for name in ("a.xmodel", "b.xmodel")]
    assert built[0] == built[1]


def test_outputs_that_cannot_be(model: XModel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "nowhere" / "a.xmodel"):
        with pytest.raises(InputError, match="Q0601"):
            build(model, TARGET, output)

from __future__ import annotations

from pathlib import Path

import pytest

from quantforge.xmodel.model import Attr
from quantforge.xmodel.write import write_xmodel
from tests.unit.xmodel.samples import small
from xir.cli import dump_text, main


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(write_xmodel(small(), tmp_path / "m.xmodel"))


def test_the_operators(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "small: 7 operators"
    assert "conv2d c input=[x] weights=[c_w] bias=[c_b] -> FLOAT32[1, 8, 8, 3]" in lines


def test_the_tree(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["subgraph", path]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "root 7 operators",
        "    user [device=USER] 1 operators",
        "    dpu [device=DPU, fingerprint=0x8000000000000005] 5 operators",
        "        layer 3 operators",
        "        act 2 operators",
        "    cpu [device=CPU] 1 operators",
    ]


def test_everything_as_text(path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump_txt", path]) == 0
    printed = capsys.readouterr().out
    assert main(["dump_txt", path, str(tmp_path / "m.txt")]) == 0
    assert (tmp_path / "m.txt").read_text() == printed == dump_text(small())
    assert "    data: bytes = 216 bytes 000000000000803f0000004000004040…" in printed.splitlines()
    assert "    fix_point: int32 = 4" in printed.splitlines()


def test_long_values_are_cut() -> None:
    model = small()
    model.attrs["map"] = Attr("map_string_2_bytes", {"a": bytes(100)})
    model.attrs["list"] = Attr("int32_vec", tuple(range(500)))
    text = dump_text(model)
    assert "100 bytes 00000000" in text and "… (2390 characters)" in text


@pytest.mark.parametrize("verb", ["png", "svg"])
def test_pictures(path: str, tmp_path: Path, verb: str) -> None:
    assert main([verb, path, str(tmp_path / "g")]) == 0
    assert (tmp_path / "g").stat().st_size > 100


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", str(tmp_path / "none.xmodel")]) == 2
    assert "Q0902" in capsys.readouterr().err
    assert main(["graph"]) == 2
    assert "Missing argument" in capsys.readouterr().err

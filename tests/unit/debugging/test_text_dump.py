"""The text of a model, its blobs and registers as files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from quantforge.debugging.text_dump import blobs, text_dump, write_blobs, write_registers
from quantforge.xmodel.model import Attr, XModel
from quantforge.xmodel.read import read_xmodel
from tests.compiled_xmodels import classifier, dpu_part
from tests.published_xmodels import published


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def test_every_operator_and_subgraph_is_in_the_text() -> None:
    model = classifier()
    text = text_dump(model)
    assert all(f"op: {name}\n" in text for name in model.ops)
    assert all(f"subgraph: {part.name}\n" in text for part in model.root.children)
    assert "kernel (int32_vec): [3, 3]" in text and "XINT8 [1, 8, 8, 3]" in text


def test_bytes_are_shown_by_size_sum_and_ends() -> None:
    model = XModel("m")
    long, short = bytes(range(100)), b"\x01\x02"
    model.attrs["long"], model.attrs["short"] = Attr("bytes", long), Attr("bytes", short)
    text = text_dump(model)
    assert f"short (bytes): bytes size=2 md5={md5(short)} 01 02\n" in text
    ends = f"{long[:16].hex(' ')} ... {long[-16:].hex(' ')}"
    assert f"long (bytes): bytes size=100 md5={md5(long)} {ends}\n" in text


def test_blobs_are_found_wherever_they_are(tmp_path: Path) -> None:
    model = classifier()
    dpu_part(model).attrs["parameters"] = Attr("map_string_2_bytes", {"REG_0": b"abc", "REG_1": b""})
    model.attrs["list"] = Attr("bytes_vec", (b"x", b"y"))
    found = blobs(model)
    weights = [op.attrs["data"].value for op in model.ops.values() if op.kind == "const-fix"]
    assert set(found.values()) == {b"abc", b"x", b"y", *weights}
    paths = write_blobs(model, tmp_path)
    assert {path.stem: path.read_bytes() for path in paths} == found


def test_registers_of_a_published_model(tmp_path: Path) -> None:
    model = read_xmodel(published("mnist_DPUCV2DX8G_ISA1_C20B14.xmodel"))
    names = [path.relative_to(tmp_path).as_posix() for path in write_registers(model, tmp_path)]
    assert names == ["sg_1/mc_code.bin", "sg_1/REG_0.bin", "sg_3/mc_code.bin", "sg_3/REG_0.bin"]
    assert (tmp_path / names[0]).stat().st_size == 1412 and (tmp_path / names[1]).stat().st_size == 109568

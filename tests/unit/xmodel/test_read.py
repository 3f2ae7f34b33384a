from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.encode import encode
from quantforge.xmodel.model import Attr, Subgraph
from quantforge.xmodel.read import read_xmodel
from quantforge.xmodel.shapes import infer_shape
from quantforge.xmodel.write import to_bytes
from tests.unit.xmodel.samples import published, small


@dataclass(frozen=True)
class Published:
    """A row of the table in the README beside the published files."""

    ops: int
    devices: tuple[int, int, int] = (0, 0, 0)  # USER, DPU, CPU
    layers: tuple[int, ...] = ()  # children of the DPU subgraphs
    fingerprint: int | None = None
    workload: int | None = None


# fmt: off
FILES = {
    "pointpillars_quantized": Published(166),
    "pointpillars_DPUCZDX8G_ISA1_B4096":
        Published(89, (2, 2, 4), (3, 27), 0x0101000056010407, 10927064064),
    "pointpillars_DPUCVDX8G_ISA3_C32B6":
        Published(89, (2, 2, 4), (3, 27), 0x0603000B56011861, 10927064064),
    "mnist_DPUCV2DX8G_ISA1_C20B14": Published(25, (1, 2, 2), (4, 5), 0x0901400044000E44, 28885386),
    "mnist_DPUCVDX8H_ISA1_F2W4_6PE_aieDWC": Published(25, (1, 2, 2), (4, 5), 0x0501000000160C2F, 28885386),
    "mnist_DPUCAHX8H_ISA2_DWC": Published(26, (1, 2, 2), (3, 5), 0x020200000010002B, 28885386),
}
# fmt: on


@pytest.mark.parametrize("name", FILES)
def test_published_files_are_what_their_table_says(name: str) -> None:
    model, expected = read_xmodel(published(name)), FILES[name]
    devices = [child.get("device") for child in model.root.children]
    dpus = [child for child in model.root.children if child.get("device") == "DPU"]
    assert len(model.ops) == expected.ops
    assert tuple(devices.count(device) for device in ("USER", "DPU", "CPU")) == expected.devices
    assert tuple(sorted(len(dpu.children) for dpu in dpus)) == expected.layers
    assert all(dpu.get("dpu_fingerprint") == expected.fingerprint for dpu in dpus)
    if expected.workload is not None:
        assert sum(dpu.get("workload") for dpu in dpus) == expected.workload
        assert model.root.get("workload") == expected.workload
        assert sorted(model.root.all_ops()) == sorted(model.ops)
    else:
        assert model.root.ops == list(model.ops) and not model.root.children


@pytest.mark.parametrize("name", FILES)
def test_published_files_keep_their_meaning_when_they_are_written(name: str) -> None:
    model = read_xmodel(published(name))
    written = to_bytes(model)
    again = read_xmodel(written)
    assert again == model and list(again.ops) == list(model.ops)
    assert to_bytes(again) == written


@pytest.mark.parametrize("name", FILES)
def test_published_shapes_are_those_that_we_infer(name: str) -> None:
    model = read_xmodel(published(name))
    inferred = {op.name: infer_shape(model, op) for op in model.ops.values()}
    assert inferred == {op.name: op.tensor.shape for op in model.ops.values()}


def test_a_path_and_bytes_give_the_same(tmp_path: Path) -> None:
    data = to_bytes(small())
    (tmp_path / "m.xmodel").write_bytes(data)
    assert read_xmodel(tmp_path / "m.xmodel") == read_xmodel(data) == small()


def test_operators_without_a_subgraph_get_one() -> None:
    model = small()
    model.root.children = [Subgraph("dpu", ["c", "c_w", "c_b"])]
    model.root.ops = ["s"]  # what the root lists beside children has no meaning
    found = read_xmodel(encode(model))
    assert found.root.ops == []
    assert [child.name for child in found.root.children] == [
        "dpu", "subgraph_x", "subgraph_r", "subgraph_f", "subgraph_s",
    ]  # fmt: skip


def test_a_flat_file_lists_all_operators_at_the_root() -> None:
    model = small()
    model.root = Subgraph("root", ["x"])
    assert read_xmodel(encode(model)).root.ops == list(model.ops)


def test_kinds_that_mean_the_same_are_read_as_defined() -> None:
    model = small()
    model.ops["r"].kind, model.ops["r"].attrs["alpha"] = "leaky-relu", Attr("double", 0.25)
    assert read_xmodel(encode(model)).ops["r"].attrs["alpha"] == Attr("float", 0.25)
    with pytest.raises(InputError, match="Q0907"):
        to_bytes(model)


@pytest.mark.parametrize("path", ["no_such.xmodel", ".", "a\0b"])
def test_files_that_cannot_be_read(path: str) -> None:
    with pytest.raises(InputError, match="Q0902"):
        read_xmodel(path)


def test_a_corrupt_file_names_its_path_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "cut.xmodel"
    path.write_bytes(to_bytes(small())[:100])
    with pytest.raises(InputError, match=r"Q0901 .*cut.xmodel, byte \d+"):
        read_xmodel(path)

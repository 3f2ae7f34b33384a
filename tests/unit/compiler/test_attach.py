from __future__ import annotations

from dataclasses import replace

import pytest

from quantforge.compiler.compile import Attachments, compilation
from quantforge.compiler.options import CompileOptions
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import XModel
from tests.flat_xmodels import B4096, VERSAL, Net, all_dpu, compiled

TARGET = load_dpu(B4096)


def net() -> XModel:
    made = Net()
    x = made.fix(made.conv("a", made.data("x", (1, 8, 8, 4), 4), 4), 3)
    made.op("s", "sigmoid", [made.fix(made.conv("b", x, 4), 3)], (1, 8, 8, 4))
    return made.done()


@pytest.mark.parametrize(
    ("target", "library"),
    [
        (B4096, "libvart-dpu-runner.so"),
        (VERSAL, "libvart-dpu-runner.so"),
        ("DPUCAHX8H_ISA2_DWC", "librt-engine.so"),
    ],
)
def test_identity_and_registers(target: str, library: str) -> None:
    model, _ = compiled(net(), target)
    subgraph = model.root.children[1]
    dpu = load_dpu(target)
    assert subgraph.get("dpu_name") == dpu.name and subgraph.get("dpu_fingerprint") == dpu.fingerprint
    assert subgraph.get("runner") == {
        "run": library, "ref": "libvart-cpu-runner.so", "sim": "libvart-sim-runner.so",
    }  # fmt: skip
    assert subgraph.get("reg_id_to_context_type") == {"REG_0": "CONST", "REG_2": "DATA", "REG_3": "DATA"}
    assert subgraph.get("reg_id_to_context_type_v2") == {
        "REG_0": "CONST",
        "REG_2": "INTERFACE",
        "REG_3": "INTERFACE",
    }
    assert subgraph.get("reg_id_to_hw_segment") == {"REG_0": "W0", "REG_2": "D0", "REG_3": "D0"}
    assert subgraph.get("children_topological_sort") == ("subgraph_a", "subgraph_b")
    assert subgraph.get("debug_mode") == "null" and subgraph.get("mc_code")
    cpu = model.root.children[2]
    assert set(cpu.get("runner").values()) == {"libvart-cpu-runner.so"}


def test_graph_attributes() -> None:
    extras = Attachments('{"crop": 8}', lambda model: model.name.encode(), {"net.onnx": "0123"})
    model = compilation(net(), TARGET, devices=all_dpu(net()), attachments=extras).model
    assert model.attrs["quantforge_preprocessing"].value == '{"crop": 8}'
    assert model.attrs["quantforge_vectors"].value == b"net"
    assert model.attrs["files_md5sum"].value == {"net.onnx": "0123"}
    assert list(model.attrs["libs_info"].value) == ["quantforge"]
    bare = compilation(
        net(), TARGET, devices=all_dpu(net()), attachments=Attachments(vectors=lambda model: None)
    ).model
    assert {"quantforge_preprocessing", "quantforge_vectors"}.isdisjoint(bare.attrs)


def test_reasons_are_in_the_file() -> None:
    model = compilation(net(), TARGET).model
    assert "sigmoid" in model.attrs["quantforge_reasons"].value["s"]


@pytest.mark.parametrize(("asked", "found"), [(None, True), (True, True), (False, False)])
def test_prefetch(asked: bool | None, found: bool) -> None:
    model, _ = compiled(net(), options=CompileOptions(prefetch=asked))
    assert model.root.children[1].get("if_prefetch") is found
    assert model.root.get("prefetch") is bool(asked)


def test_prefetch_needs_room_for_two() -> None:
    small = replace(
        TARGET, banks=tuple(replace(bank, depth=1) if bank.name == "CONVW" else bank for bank in TARGET.banks)
    )
    assert compiled(net(), small)[0].root.children[1].get("if_prefetch") is False


def test_hd_opt_is_answered() -> None:
    model, report = compiled(net(), options=CompileOptions(hd_opt=True))
    assert [notice.code for notice in report.notices] == ["Q1109"] and model.root.get("hd_opt") is True
    assert "Q1109" in report.text()

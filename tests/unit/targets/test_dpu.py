from __future__ import annotations

import json
from pathlib import Path

import pytest

from quantforge.diagnostics import InputError
from quantforge.targets import dpu
from quantforge.targets.dpu import board_names, dpu_boards, dpu_names, load_dpu
from quantforge.targets.load import target_names


@pytest.mark.parametrize("name", dpu_names())
def test_every_registered_dpu_reads_under_its_name(name: str) -> None:
    target = load_dpu(name)
    assert target.name == name and target.banks and target.peak_ops_per_cycle > 0
    assert load_dpu(target.fingerprint_text) == target
    banks = {bank.name for bank in target.banks}
    for engine in (target.conv, target.eltwise, target.pool, target.depthwise, target.alu):
        if engine is not None:
            assert {*engine.input_banks, *engine.output_banks} <= banks
            assert {engine.weight_bank, engine.bias_bank} <= {*banks, None}


def test_dpus_are_no_recipe_targets() -> None:
    assert target_names() == ("cpu", "dpu", "npu")
    assert "index" not in dpu_names() and len(dpu_names()) == 34


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [
        ("DPUCZDX8G_ISA1_B4096", "0x0101000056010407"),
        ("DPUCVDX8G_ISA3_C32B6", "0x0603000b56011861"),
        ("DPUCV2DX8G_ISA1_C20B14", "0x0901400044000e44"),
        ("DPUCAHX8H_ISA2_DWC", "0x020200000010002b"),
        ("DPUCVDX8H_ISA1_F2W4_6PE_aieDWC", "0x0501000000160c2f"),
        ("DPUCAHX8L_ISA0", "0x030000000000001d"),
        ("DPUCADF8H_ISA0", "0x0700000000000000"),
    ],
)
def test_fingerprints_of_published_models(name: str, fingerprint: str) -> None:
    assert load_dpu(name).fingerprint_text == fingerprint


@pytest.mark.parametrize("board", board_names())
def test_every_board_has_a_dpu_that_knows_it(board: str) -> None:
    target = load_dpu(board.lower())
    assert target.board == board and board in target.boards
    assert target.cores >= 1 and target.frequency_mhz is not None
    assert all(board in load_dpu(name).boards for name in target.alternatives)


def test_a_board_brings_its_clock_and_cores() -> None:
    assert (load_dpu("ZCU102").frequency_mhz, load_dpu("ZCU102").cores) == (281, 3)
    assert load_dpu("V70").aie_frequency_mhz == 1000
    assert load_dpu("VCK5000").alternatives[0] == "DPUCVDX8H_ISA1_F2W4_6PE_aieDWC"
    assert load_dpu("DPUCZDX8G_ISA1_B4096").cores == 1


def test_boards_without_a_standard_dpu_ask_for_arch_json() -> None:
    assert {b.name for b in dpu_boards() if b.target is None} == {"KR260", "ZCU106", "Ultra96"}
    with pytest.raises(InputError, match=r"Q1000.*no standard DPU.*arch\.json"):
        load_dpu("KR260")


def test_an_unregistered_fingerprint_is_decoded() -> None:
    before = load_dpu("0x0101000016010407")  # as of release 2.5, before argmax
    assert before.name == "DPUCZDX8G_ISA1_B4096_0101000016010407" and not before.argmax


@pytest.mark.parametrize(
    ("source", "code", "fix"),
    [
        ("DPUCZDX8G_ISA1_B4095", "Q1000", "DPUCZDX8G_ISA1_B4096"),
        ("zcu103", "Q1000", "ZCU10"),
        ("DPUCZDX8G_ISA0_B4096_MAX_BG2", "Q1000", "0x01000020f6014407"),
        ("0x0201000000000000", "Q1001", "quantforge targets"),
        ("0xZZ", "Q1002", "arch.json"),
        ("0x", "Q1002", "arch.json"),
        ("0x10101000056010407", "Q1002", "arch.json"),
        ("0x010100005601040f", "Q1003", "arch.json"),
        ("nowhere/arch.json", "Q1004", "path"),
        ("nowhere/mine.toml", "Q1005", "path"),
    ],
)
def test_what_is_not_there_is_a_coded_error(source: str, code: str, fix: str) -> None:
    with pytest.raises(InputError, match=code) as caught:
        load_dpu(source)
    assert fix in caught.value.diagnostic.fix


def test_arch_json_by_name_and_by_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "arch.json"
    for row in ({"target": "DPUCZDX8G_ISA1_B512"}, {"fingerprint": "0x0101000056010200"}):
        path.write_text(json.dumps(row), "utf-8")
        assert load_dpu(path).name == load_dpu(str(path)).name == "DPUCZDX8G_ISA1_B512"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "Q1004"),
        ("[]", "Q1004"),
        ("{}", "Q1004"),
        ('{"target": 3}', "Q1004"),
        ('{"target": "ZCU102", "fingerprint": "0x1"}', "Q1004"),
        ('{"target": "ZCU102"}', "Q1000"),
        ('{"fingerprint": "ZCU102"}', "Q1002"),
    ],
)
def test_a_wrong_arch_json(text: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "arch.json"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=code):
        load_dpu(path)


def test_a_dpu_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "ZCU104"\nname = "mine"\ncores = 1\nfeature_code = 0x16010407\n', "utf-8")
    target = load_dpu(path)
    assert (target.name, target.cores, target.fingerprint_text) == ("mine", 1, "0x0101000016010407")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="Q1005"):
        load_dpu(path)


def test_the_package_hands_out_the_records() -> None:
    assert dpu.DpuTarget.__name__ in dpu.__all__ and dpu.allows(((1, 2),), 2)

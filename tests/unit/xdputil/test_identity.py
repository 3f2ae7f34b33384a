"""What a software DPU says about itself."""

from __future__ import annotations

import json

import pytest

from quantforge.targets.dpu import load_dpu
from xdputil.cli import main
from xdputil.identity import SOFTWARE, bank_group_volume


def test_the_identity_says_that_it_is_software(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["DPU IP Spec", "VAI Version", "kernels"]
    (kernel,) = found["kernels"]
    assert {
        "DPU Arch",
        "IP Type",
        "cu_addr",
        "cu_handle",
        "cu_idx",
        "cu_mask",
        "cu_name",
        "device_id",
    } <= set(kernel)
    assert (kernel["DPU Arch"], kernel["fingerprint"], kernel["is_vivado_flow"]) == (SOFTWARE, "0x0", False)
    assert found["DPU IP Spec"]["Bank Group Volume"] is None


def test_the_configuration_of_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "ZCU102"]) == 0
    found = json.loads(capsys.readouterr().out)
    target = load_dpu("ZCU102")
    assert found["kernels"][0]["DPU Arch"] == "DPUCZDX8G_ISA1_B4096"
    assert found["kernels"][0]["fingerprint"] == "0x0101000056010407"
    assert found["kernels"][0]["Load Parallel"] == target.load_parallel
    volume = sum(bank.bytes for bank in target.banks if bank.kind == "image")
    assert found["DPU IP Spec"]["Bank Group Volume"] == bank_group_volume(target) == volume > 0
    assert main(["query", "nothing"]) == 2
    assert "Q1000" in capsys.readouterr().err


def test_registers_have_the_original_s_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    (kernel,) = json.loads(capsys.readouterr().out)["kernels"]
    common = kernel["common_registers"]
    assert {"AP status", "LOAD START", "MISC END", "PROF_VALUE", "PROF_NUM"} <= set(common)
    assert common["AP status"] == "idle" and "addrs_registers" in kernel and "no hardware" in kernel["name"]


def test_there_is_no_device_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mem", "-r", "0x0", "16", "out.bin"]) == 2
    assert "Q1310" in capsys.readouterr().err

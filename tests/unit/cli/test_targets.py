"""``quantforge targets``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quantforge.cli import main
from quantforge.targets.dpu import dpu_names, load_dpu


def output(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["targets", *words]) == 0
    return capsys.readouterr().out


def test_the_list_has_a_line_for_every_dpu(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys).splitlines()
    found = {line.split()[0]: line for line in lines if "0x" in line}
    assert tuple(found) == dpu_names()
    assert found["DPUCZDX8G_ISA1_B4096"].split()[1:] == [
        "0x0101000056010407", "4096", "1", "300", "ZCU102,", "ZCU104,", "KV260",
    ]  # fmt: skip
    assert "333 / 1250" in found["DPUCVDX8G_ISA3_C32B6"]


def test_the_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(output(capsys, "--json"))
    assert [row["name"] for row in rows] == list(dpu_names())
    assert rows[-1]["frequency_mhz"] is None


def test_one_in_detail(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "vck190")
    assert "0x0603000b56011861" in text and "DPUCVDX8G_ISA3_C64B5" in text
    assert "conv\n" in text and "relu, leaky_relu" in text and "1024 KiB" in text
    assert "pool\n" not in text  # the ALU does it


def test_one_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    row = json.loads(output(capsys, "KV260", "--json"))
    assert row["conv"]["kernel"] == "1-16" and row["alu"]["pad_limit"] == ["0-15", "0-255", "0-15", "0-255"]
    assert row["pool"] is None and row["banks"][0]["bytes"] == 262144


def test_one_as_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(output(capsys, "0x01000020f6014407", "--toml"), "utf-8")
    assert load_dpu(path) == load_dpu("0x01000020f6014407")


def test_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "zcu103"]) == 2
    assert "Q1000" in capsys.readouterr().err
    assert main(["targets", "--toml"]) == 2
    assert "Q0002" in capsys.readouterr().err

from __future__ import annotations

from dataclasses import replace

import pytest

from quantforge.targets.dpu import dpu_names, load_dpu
from quantforge.targets.dpu_files import parse_dpu
from quantforge.targets.dpu_text import dpu_text


@pytest.mark.parametrize("name", [*dpu_names(), "0x01000020f6014407", "VCK5000", "V70"])
def test_the_text_reads_back(name: str) -> None:
    target = load_dpu(name)
    text = dpu_text(target)
    assert parse_dpu(text, "mine.toml") == replace(target, boards=(), board=None, alternatives=())


def test_a_clock_may_have_a_fraction() -> None:
    target = replace(load_dpu("KV260"), frequency_mhz=274.5)
    assert "frequency_mhz = 274.5\n" in dpu_text(target)

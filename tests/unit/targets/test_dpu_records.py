from __future__ import annotations

from dataclasses import replace

import pytest

from quantforge.targets.dpu import load_dpu
from quantforge.targets.dpu_records import FAMILIES, Bank


def test_capacity_counts_bits_of_a_word() -> None:
    bank = Bank("CB0", "image", 8, 16, 2048)
    assert bank.bytes == 8 * 16 * 2048
    assert replace(bank, word_bits=4).bytes == bank.bytes // 2


@pytest.mark.parametrize(("code", "family"), [(1, "DPUCZDX8G"), (6, "DPUCVDX8G"), (9, "DPUCV2DX8G")])
def test_the_fingerprint_starts_with_the_type_code(code: int, family: str) -> None:
    target = replace(load_dpu("KV260"), family=family)
    assert target.fingerprint >> 56 == code == FAMILIES.index(family) + 1


def test_fingerprint_and_peak_of_the_zcu102() -> None:
    target = load_dpu("ZCU102")
    assert target.fingerprint_text == "0x0101000056010407"
    assert target.peak_ops_per_cycle == 4096
    weights = target.bank("CONVW")
    assert weights is not None and weights.bytes == 16 * 16 * 2048
    assert target.bank("nowhere") is None
    assert [bank.name for bank in target.image_banks] == ["VB0", "VB1"]

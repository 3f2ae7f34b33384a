from __future__ import annotations

import logging

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.replacements import say_replacements  # noqa: E402
from quantforge.passes.result import Note  # noqa: E402


def test_one_notice_for_each_kind_with_names(caplog: pytest.LogCaptureFixture) -> None:
    notes = [
        *(Note("replace-relu6", f"act{i}", True, "") for i in range(6)),
        Note("replace-swish", "silu", True, ""),
        Note("replace-sigmoid", "gate", True, ""),
        Note("dpu-leaky-relu", "near", True, ""),
        Note("dpu-leaky-relu", "far", False, ""),
        Note("correct-bias", "conv", True, ""),
    ]
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        say_replacements(notes)
    lines = [record.getMessage() for record in caplog.records]
    starts = [line.split(";")[0] for line in lines]
    assert starts == [
        "Q0511 act0, act1, act2, act3 and 2 more (QUANTIZER_TORCH_REPLACE_RELU6): found relu6 made relu",
        "Q0511 silu (QUANTIZER_TORCH_REPLACE_SILU): found silu made hardswish",
        "Q0511 gate (QUANTIZER_TORCH_REPLACE_SIGMOID): found sigmoid made hardsigmoid",
        "Q0511 near (QUANTIZER_TORCH_LEAKYRELU): found a slope near 0.1 made 26/256",
        "Q0511 far (QUANTIZER_TORCH_LEAKYRELU): found a slope far from 26/256, kept",
    ]


def test_nothing_is_said_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    say_replacements([Note("dpu-averages", "pool", True, "")])
    assert not caplog.records

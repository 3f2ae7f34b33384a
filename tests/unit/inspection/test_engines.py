"""Engines by name and type, their limits, and the numbers of a DPU that rules use."""

from __future__ import annotations

import pytest

from quantforge.inspection.engines import engine_of, numbers_of, target_limits
from quantforge.targets.dpu import load_dpu

ZCU102, U50 = load_dpu("ZCU102"), load_dpu("DPUCAHX8H_ISA2_DWC")


def test_the_first_engine_that_exists_and_lists_the_type() -> None:
    assert engine_of(ZCU102, ("pool:max", "alu:max_pool")) is ZCU102.alu
    assert engine_of(U50, ("pool:max", "alu:max_pool")) is U50.pool
    assert engine_of(ZCU102, ("eltwise:sub",)) is None
    assert engine_of(ZCU102, ()) is None


@pytest.mark.parametrize(
    ("what", "variable", "limits"),
    [
        ("kernel", "kernel_w", ((1, 256),)),
        ("stride", "stride_h", ((1, 256),)),
        ("pad", "pad_left", ((0, 15),)),
        ("pad", "pad_right", ((0, 255),)),
    ],
)
def test_limits_of_an_alu(what: str, variable: str, limits: tuple) -> None:
    assert target_limits(ZCU102, ZCU102.alu, "maxpool2d", what, variable) == limits


def test_limits_of_pools_are_those_of_their_type() -> None:
    overlay = load_dpu("AMD_AIE2_1x4_Overlay")
    assert target_limits(overlay, overlay.pool, "maxpool2d", "kernel", "kernel_w") == ((1, 8),)
    assert target_limits(overlay, overlay.pool, "avgpool2d", "kernel", "kernel_w") == ((1, 32),)
    assert target_limits(U50, U50.pool, "maxpool2d", "stride", "stride_w") == ((1, 8),)


def test_nothing_is_stated_without_an_engine_or_a_pad_limit() -> None:
    assert target_limits(U50, None, "conv2d", "kernel", "kernel_w") is None
    assert target_limits(U50, U50.depthwise, "depthwise-conv2d", "pad", "pad_left") is None


def test_the_depth_that_rules_mean() -> None:
    assert numbers_of(U50, "image")["bank_depth"] == 8192
    numbers = numbers_of(U50, "weight")
    assert numbers["bank_depth"] == numbers["weight_depth"] == 2048
    assert (numbers["cp"], numbers["ocp"], numbers["bank_num"]) == (16, 16, 8)

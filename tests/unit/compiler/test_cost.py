from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.compiler.cost import layer_cost, traffic
from quantforge.compiler.cost_constants import Constants
from quantforge.compiler.cost_work import FusedPool, LayerWork, workload
from quantforge.diagnostics import InputError
from quantforge.targets.dpu import load_dpu

KV260 = load_dpu("KV260")
UNIT = Constants(1, 1, 1, 1, 1, 1, 0, "unit")
CONV = LayerWork("conv", 56, 56, 64, 56, 56, 64, (3, 3), bias=True)


def test_parts_of_a_layer_at_rate_one() -> None:
    cost = layer_cost(CONV, KV260, constants=UNIT)
    assert cost.compute_cycles == pytest.approx(workload(CONV) / 4096)
    assert cost.load_cycles == pytest.approx((56 * 56 * 64 + 64 * (64 * 9 + 1)) / 16)
    assert cost.save_cycles == pytest.approx(56 * 56 * 64 / 16)
    assert cost.join_cycles == 0
    memory = cost.load_cycles + cost.save_cycles
    assert cost.cycles == pytest.approx(math.hypot(cost.compute_cycles, memory))
    assert cost.in_program == max(cost.compute_cycles, memory)
    assert cost.ms == pytest.approx(cost.cycles / 300e3)


def test_a_joined_tensor_is_loaded_and_waited_for() -> None:
    joined = replace(CONV, fused_eltwise=1)
    cost = layer_cost(joined, KV260, constants=UNIT)
    assert cost.traffic.join == 56 * 56 * 64 and cost.join_cycles == 56 * 56 * 64 / 16
    assert layer_cost(replace(joined, fused_in_ddr=False), KV260).join_cycles == 0


def test_what_stays_on_chip_crosses_no_port() -> None:
    inside = replace(CONV, input_in_ddr=False, output_in_ddr=False, weights_in_ddr=False)
    moved = traffic(inside, KV260)
    assert moved.ddr == 0 and moved.on_chip == traffic(CONV, KV260).ddr
    assert layer_cost(inside, KV260).bound == "compute"


def test_a_fused_pool_saves_less() -> None:
    pooled = replace(CONV, fused_pool=FusedPool(28, 28, (2, 2)))
    assert traffic(pooled, KV260).save == 28 * 28 * 64


def test_bytes_of_the_first_layer_of_resnet() -> None:
    """0.507 MiB loaded and 0.191 saved in figure 37 of the user guide UG1414."""
    first = LayerWork(
        "conv", 112, 112, 64, 224, 224, 3, (7, 7), (2, 2), bias=True, fused_pool=FusedPool(56, 56, (3, 3))
    )
    moved = traffic(first, KV260)
    assert round(moved.load / 2**20, 3) == 0.507 and round(moved.save / 2**20, 3) == 0.191
    assert round(moved.weights / 2**20, 3) == 0.009


@given(st.integers(1, 64), st.integers(1, 512), st.integers(1, 512), st.sampled_from([1, 3, 5]))
def test_more_work_never_costs_less(size: int, ins: int, outs: int, k: int) -> None:
    small = LayerWork("conv", size, size, outs, size, size, ins, (k, k))
    wide = LayerWork("conv", size, size, outs + 1, size, size, ins, (k, k))
    taller = LayerWork("conv", size + 1, size, outs, size + 1, size, ins, (k, k))
    cost = layer_cost(small, KV260)
    assert cost.cycles <= layer_cost(wide, KV260).cycles
    assert cost.cycles <= layer_cost(taller, KV260).cycles
    assert cost.in_program <= cost.cycles


@pytest.mark.parametrize("kind", ["depthwise", "pool", "eltwise", "copy", "transposed-depthwise"])
def test_every_kind_costs_something_everywhere(kind: str) -> None:
    layer = LayerWork(kind, 28, 28, 64, 28, 28, 64, (3, 3))  # type: ignore[arg-type]
    for board in ("ZCU102", "VCK190", "VEK280", "VCK5000", "U50", "U250"):
        assert layer_cost(layer, load_dpu(board)).ms > 0


def test_depthwise_taps_take_a_cycle_as_pooling_taps_do() -> None:
    shape = (32, 32, 64, 32, 32, 64, (3, 3))
    depthwise = layer_cost(LayerWork("depthwise", *shape), KV260, constants=UNIT)
    assert depthwise.compute_cycles == 32 * 32 * 64 * 9 / 64
    assert (
        depthwise.compute_cycles
        == layer_cost(LayerWork("pool", *shape), KV260, constants=UNIT).compute_cycles
    )


def test_engines_with_a_clock_of_their_own_finish_earlier() -> None:
    slow = replace(load_dpu("VCK190"), aie_frequency_mhz=333.0)
    assert layer_cost(CONV, slow).compute_cycles == pytest.approx(
        layer_cost(CONV, load_dpu("VCK190")).compute_cycles * 1250 / 333
    )


def test_a_memory_bound_layer_says_so() -> None:
    dense = LayerWork("conv", 1, 1, 1000, 1, 1, 2048, bias=True)
    assert layer_cost(dense, KV260).bound == "memory"


@pytest.mark.parametrize("clock", [None, 0, -5, math.nan, math.inf])
def test_a_clock_is_needed(clock: float | None) -> None:
    target = replace(KV260, frequency_mhz=None)
    with pytest.raises(InputError, match="Q1020"):
        layer_cost(CONV, target, frequency_mhz=clock)
    assert layer_cost(CONV, target, frequency_mhz=150).ms == pytest.approx(2 * layer_cost(CONV, KV260).ms)

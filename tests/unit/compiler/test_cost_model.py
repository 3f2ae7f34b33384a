from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.compiler.cost import layer_cost
from quantforge.compiler.cost_constants import load_constants, load_host
from quantforge.compiler.cost_model import Node, call_ms, estimate_call_ms, keep_on_chip, model_cost
from quantforge.compiler.cost_work import LayerWork
from quantforge.diagnostics import InputError
from quantforge.targets.dpu import load_dpu

KV260 = load_dpu("KV260")
ROOM = 2 * 8 * 16 * 2048


def conv(name: str, channels: int, *inputs: str, size: int = 32) -> Node:
    work = LayerWork(
        "conv", size, size, channels, size, size, 64, bias=True, fused_eltwise=max(len(inputs) - 1, 0)
    )
    return Node(name, work, inputs or ("image",))


def places(nodes: tuple[Node, ...]) -> dict[str, tuple[bool, bool, bool]]:
    return {n.name: (n.work.input_in_ddr, n.work.fused_in_ddr, n.work.output_in_ddr) for n in nodes}


def test_image_and_result_cross_the_ports_and_what_fits_between_does_not() -> None:
    found = places(keep_on_chip([conv("a", 64), conv("b", 64, "a"), conv("c", 64, "b")], KV260))
    assert found == {"a": (True, False, False), "b": (False, False, False), "c": (False, False, True)}


def test_a_tensor_too_large_for_the_banks_goes_to_memory() -> None:
    found = places(keep_on_chip([conv("a", ROOM // 1024 + 1), conv("b", 64, "a")], KV260))
    assert found["a"][2] and found["b"][0]


def test_a_tensor_that_waits_for_a_join_needs_room_all_the_time() -> None:
    """a waits for d, so that b and c find no room although each alone would fit beside its reader."""
    half = ROOM // 1024 // 2
    chain = [conv("b", half - 32), conv("c", half - 32, "b"), conv("d", 64, "c")]
    assert not places(keep_on_chip(chain, KV260))["b"][2] and not places(keep_on_chip(chain, KV260))["c"][2]
    nodes = [
        conv("a", half + 16),
        conv("b", half - 32, "a"),
        conv("c", half - 32, "b"),
        conv("d", 64, "c", "a"),
    ]
    found = places(keep_on_chip(nodes, KV260))
    assert [found[name][2] for name in "abcd"] == [False, True, True, True]
    assert found["d"] == (True, False, True)


@given(st.lists(st.tuples(st.integers(1, 700), st.integers(0, 3)), min_size=1, max_size=8))
def test_kept_tensors_always_fit(plan: list[tuple[int, int]]) -> None:
    nodes = []
    for index, (channels, back) in enumerate(plan):
        read = (f"n{max(0, index - 1 - back)}",) if index else ("image",)
        nodes.append(conv(f"n{index}", channels, *read))
    kept = [node.name for node in keep_on_chip(nodes, KV260) if not node.work.output_in_ddr]
    for step in range(len(nodes)):
        live = 0
        for index, node in enumerate(nodes):
            readers = [at for at, other in enumerate(nodes) if node.name in other.inputs]
            if node.name in kept and index <= step <= max(readers):
                live += 32 * 32 * node.work.out_c
        assert live <= ROOM


def test_a_program_starts_once_and_overlaps() -> None:
    nodes = keep_on_chip([conv("a", 64), conv("b", 64, "a")], KV260)
    cost = model_cost(nodes, KV260)
    layers = [layer_cost(node.work, KV260) for node in nodes]
    fixed = load_constants("DPUCZDX8G").fixed
    assert cost.latency_ms == pytest.approx((fixed + sum(layer.in_program for layer in layers)) / 300e3)
    assert cost.latency_ms < sum(layer.ms for layer in layers)
    assert cost.fps == pytest.approx(1000 / cost.latency_ms)
    assert cost.macs == sum(layer.macs for layer in layers) and cost.names == ("a", "b")
    assert cost.workload == 2 * cost.macs + 2 * 32 * 32 * 64
    assert cost.ddr_bytes == 2 * 32 * 32 * 64 + 2 * 64 * 65


def test_cores_batch_and_engines_multiply_the_rate() -> None:
    nodes = [conv("a", 64)]
    one = model_cost(nodes, KV260, cores=1).fps
    assert model_cost(nodes, KV260, cores=3).fps == pytest.approx(3 * one)
    zcu102 = model_cost(nodes, load_dpu("ZCU102"))
    assert zcu102.cores == 3 and zcu102.fps == pytest.approx(one * 3 * 281 / 300)
    vck190 = model_cost(nodes, replace(load_dpu("VCK190"), bandwidth_mb_s=None))
    assert vck190.images == 6 and vck190.fps == pytest.approx(6000 / vck190.latency_ms)
    assert model_cost(nodes, load_dpu("U50")).images == 3


def test_memory_bounds_the_rate() -> None:
    slow = replace(KV260, bandwidth_mb_s=1.0)
    cost = model_cost([conv("a", 64)], slow)
    assert cost.fps == pytest.approx(1e6 / cost.ddr_bytes)


def test_nothing_costs_the_start_only() -> None:
    assert model_cost([], KV260).ddr_bytes == 0
    assert model_cost([], KV260).latency_ms == pytest.approx(load_constants("DPUCZDX8G").fixed / 300e3)


def test_a_call_adds_the_hosts_work_per_image() -> None:
    cost = model_cost([conv("a", 64)], load_dpu("VCK190"))
    host = load_host("DPUCVDX8G")
    assert host is not None
    wanted = cost.latency_ms + 6 * (host.call + 0.05 * host.per_megapixel)
    assert call_ms(cost, 0.05, load_dpu("VCK190")) == pytest.approx(wanted)


def test_totals_grow_with_work_size_and_task() -> None:
    small = estimate_call_ms(1, 0.05, KV260)
    assert small < estimate_call_ms(2, 0.05, KV260) and small < estimate_call_ms(1, 0.1, KV260)
    assert estimate_call_ms(1, 0.05, KV260, "maps") > estimate_call_ms(1, 0.05, KV260, "boxes")
    assert estimate_call_ms(1, 0.05, load_dpu("VEK280")) > 0


def test_what_was_never_measured_or_makes_no_sense_is_refused() -> None:
    cost = model_cost([conv("a", 64)], load_dpu("U50"))
    with pytest.raises(InputError, match="Q1022"):
        call_ms(cost, 0.05, load_dpu("U50"))
    with pytest.raises(InputError, match="Q1022"):
        estimate_call_ms(1, 0.05, load_dpu("U50"))
    for bad in ((-1.0, 0.05, "scores"), (1.0, float("nan"), "scores"), (1.0, 0.05, "speech")):
        with pytest.raises(InputError, match="Q1021"):
            estimate_call_ms(*bad[:2], KV260, bad[2])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Q1020"):
        estimate_call_ms(1, 0.05, replace(KV260, frequency_mhz=None))

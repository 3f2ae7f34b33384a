"""Aligned positions against the limits themselves, recomputed here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import INT8, IntFormat
from quantforge.quantization.align import NAME, align_positions
from quantforge.quantization.placement import place
from quantforge.quantization.places import SpecGroup
from quantforge.quantization.recipe import DPU_CNN, Recipe, ShiftLimits, TensorRule
from quantforge.quantization.solve import solve, solve_bias
from tests.networks import Net

POSITIONS = st.integers(-6, 24)


def at(position: int) -> QuantSpec:
    return QuantSpec.power_of_two(INT8, position)


def chain(bias: float = 0.0) -> Graph:
    net = Net()
    y = net.add("relu", "r", (net.conv("c1", "x", 4),))
    graph = net.done(net.conv("c2", net.add("maxpool2d", "p", (y,)), 2))
    for name in ("c1.b", "c2.b"):
        value = graph.value(name)
        graph.set_value(replace(value, const=np.full_like(np.asarray(value.const), bias)))
    return graph


def solved(graph: Graph, positions: dict[str, int], recipe: Recipe = DPU_CNN) -> Graph:
    def spec(group: SpecGroup, rule: TensorRule) -> QuantSpec:
        return at(next(positions[name] for name in group.values if name in positions))

    graph = solve(graph, place(graph, recipe), recipe, spec)
    for name, position in positions.items():
        if graph.value(name).is_const:
            graph.set_value(replace(graph.value(name), quant=at(position)))
    for op in graph.ops:
        if op.kind == "conv2d":
            solve_bias(graph, op, recipe)
    return graph


def position(graph: Graph, name: str) -> int:
    spec = graph.value(name).quant
    assert spec is not None and spec.position is not None
    return spec.position


def shifts(graph: Graph, op: str, x: str, out: str) -> tuple[int, int]:
    total = position(graph, x) + position(graph, f"{op}.w")
    return total - position(graph, out), total - position(graph, f"{op}.b")


@settings(max_examples=60, deadline=None)  # the first call compiles
@given(
    x=POSITIONS, w1=POSITIONS, r=POSITIONS, w2=POSITIONS, y=POSITIONS,
    bias=st.sampled_from([0.0, 1e-6, 0.3, 500.0]),
)  # fmt: skip
def test_shifts_end_within_their_limits(x: int, w1: int, r: int, w2: int, y: int, bias: float) -> None:
    graph = chain(bias)
    before = solved(graph, {"x": x, "c1.w": w1, "r.out": r, "c2.w": w2, "c2.out": y})
    after, notes = align_positions(before, place(graph, DPU_CNN), DPU_CNN)
    for op, source, out in (("c1", "x", "r.out"), ("c2", "p.out", "c2.out")):
        cut, low = shifts(after, op, source, out)
        assert 0 <= cut <= 16
        assert min(0, cut - 16) <= low <= 15
    assert position(after, "p.out") == position(after, "r.out")
    legal = all(
        0 <= cut <= 16 and min(0, cut - 16) <= shift <= 15
        for cut, shift in (shifts(before, "c1", "x", "r.out"), shifts(before, "c2", "p.out", "c2.out"))
    )
    moved = {value.name for value in after.values if value.quant != before.value(value.name).quant}
    assert bool(moved) <= bool(notes)
    if legal and bias == 0.0:
        assert not notes and not moved


def test_an_output_that_is_too_fine_is_lowered_with_all_that_share_its_spec() -> None:
    graph = chain()
    before = solved(graph, {"x": 3, "c1.w": 2, "r.out": 9, "c2.w": 7, "c2.out": 4})
    after, notes = align_positions(before, place(graph, DPU_CNN), DPU_CNN)
    assert position(after, "r.out") == position(after, "p.out") == 5
    assert [(note.made_by, note.op, note.done) for note in notes] == [(NAME, "c1", True)]
    assert "shift_cut was -4" in str(notes[0])


def test_weights_that_are_too_fine_are_lowered() -> None:
    graph = chain()
    before = solved(graph, {"x": 8, "c1.w": 14, "r.out": 2, "c2.w": 7, "c2.out": 4})
    after, _ = align_positions(before, place(graph, DPU_CNN), DPU_CNN)
    assert position(after, "c1.w") == 10 and position(after, "r.out") == 2


def test_weights_give_way_to_a_large_bias_so_that_it_does_not_saturate() -> None:
    graph = chain(bias=30.0)  # position 1 holds it, 2 does not
    before = solved(graph, {"x": 7, "c1.w": 15, "r.out": 8, "c2.w": 7, "c2.out": 4})
    after, notes = align_positions(before, place(graph, DPU_CNN), DPU_CNN)
    assert position(before, "c1.b") == 7 and position(after, "c1.b") == 2  # 30 = 120 / 4
    assert 7 + position(after, "c1.w") - position(after, "c1.b") == 15
    assert any("shift_bias was 20" in note.text for note in notes)


def test_an_input_and_output_with_one_spec_cannot_be_moved_apart() -> None:
    net = Net()
    y = net.conv("c1", "x", 4)
    graph = net.done(net.add("concat", "cat", (y, "x"), 8, axis=1))
    recipe = replace(DPU_CNN, placement=replace(DPU_CNN.placement, float_output_joins=False))
    before = solved(graph, {"x": 4, "c1.w": -3}, recipe)
    after, notes = align_positions(before, place(graph, recipe), recipe)
    assert position(after, "c1.w") == -3
    assert [note.done for note in notes] == [False] and "shift_cut is -3" in notes[0].text


@pytest.mark.parametrize(
    ("kind", "i", "o", "want"),
    [
        ("hard-sigmoid", 4, 6, (4, 7)),
        ("hard-sigmoid", -2, 9, (0, 9)),
        ("hard-swish", -2, 9, (0, 7)),
        ("hard-swish", 3, 10, (3, 10)),
        ("hard-sigmoid", 18, 9, (15, 9)),
        ("hard-sigmoid", -3, 20, (0, 14)),
        ("hard-swish", 18, 2, (15, 7)),
    ],
)
def test_hard_activations_have_positions_that_their_constants_fit(
    kind: str, i: int, o: int, want: tuple[int, int]
) -> None:
    net = Net()
    graph = net.done(net.add(kind, "h", ("x",)))
    before = solved(graph, {"x": i, "h.out": o})
    after, _ = align_positions(before, place(graph, DPU_CNN), DPU_CNN)
    assert (position(after, "x"), position(after, "h.out")) == want


def test_without_limits_and_for_wide_tensors_nothing_moves() -> None:
    graph = chain()
    positions = {"x": 20, "c1.w": 20, "r.out": -5, "c2.w": 7, "c2.out": 4}
    before = solved(graph, positions)
    assert align_positions(before, place(graph, DPU_CNN), replace(DPU_CNN, shift_limits=None)) == (before, ())
    for value in before.values:
        if value.quant is not None:
            before.set_value(replace(value, quant=replace(value.quant, format=IntFormat(16))))
    assert align_positions(before, place(graph, DPU_CNN), DPU_CNN)[1] == ()


def test_other_limits_hold_too() -> None:
    recipe = replace(DPU_CNN, shift_limits=ShiftLimits(least_cut=-1, least_bias=0))
    graph = chain(bias=1e-6)
    before = solved(graph, {"x": 3, "c1.w": 2, "r.out": 9, "c2.w": 7, "c2.out": 4}, recipe)
    after, _ = align_positions(before, place(graph, recipe), recipe)
    cut, shift = shifts(after, "c1", "x", "r.out")
    assert (cut, shift) == (-1, 0)

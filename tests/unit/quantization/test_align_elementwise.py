"""Moves of sums and products against the bounds of their shifts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import INT8, UINT8
from quantforge.quantization.align import align_positions
from quantforge.quantization.align_elementwise import elementwise_moves
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import DPU_CNN, ShiftLimits
from tests.networks import Net

LIMITS = ShiftLimits(read=True, write=True)
RECIPE = replace(DPU_CNN, shift_limits=LIMITS)
POSITIONS = st.integers(-10, 30)


def network(kind: str) -> Graph:
    net = Net()
    a, b = net.conv("a", "x", 3, bias=False), net.conv("b", "x", 3, bias=False)
    return net.done(net.add(kind, "o", (a, b)))


def at(graph: Graph, unsigned: bool, **positions: int) -> Graph:
    for name, position in positions.items():
        value = graph.value("x" if name == "x" else f"{name[0]}.w" if name.endswith("w") else f"{name}.out")
        spec = QuantSpec.power_of_two(INT8, position)
        if unsigned and not value.is_const:
            spec = replace(spec, format=UINT8, zero_point=(128,))
        graph.set_value(replace(value, quant=spec))
    return graph


def position(graph: Graph, name: str) -> int:
    spec = graph.value(name).quant
    assert spec is not None
    return int(QuantSpec.power_of_two(INT8, 0).scale[0] / spec.scale[0]).bit_length() - 1


@given(POSITIONS, POSITIONS, POSITIONS, st.sampled_from(["eltwise-add", "eltwise-sub", "eltwise-mul"]))
def test_moves_bring_shifts_into_their_bounds(a: int, b: int, o: int, kind: str) -> None:
    graph = network(kind)
    ins, out = {"a.out": a, "b.out": b}, o
    for _ in range(3):
        moves = list(elementwise_moves(graph, graph.op("o"), ins, ("o.out", out), LIMITS))
        for move in moves:
            out = move.position if move.name == "o.out" else out
            ins |= {move.name: move.position} if move.name in ins else {}
    assert not moves, "nothing is left to move"
    if kind == "eltwise-mul":
        assert 0 <= sum(ins.values()) - out <= 32
    else:
        assert max(ins.values()) - min(ins.values()) <= 7
        assert min(ins.values()) == min(a, b), "only the finer one moves"
        assert -7 <= min(ins.values()) - out <= 25


def test_the_switches() -> None:
    graph = network("eltwise-add")
    found = {}
    for name in ("read", "write"):
        limits = replace(LIMITS, **{name: False})
        moves = elementwise_moves(graph, graph.op("o"), {"a.out": 3, "b.out": 13}, ("o.out", 20), limits)
        found[name] = [(move.name, move.position) for move in moves]
    assert found == {"read": [("o.out", 10)], "write": [("b.out", 10)]}
    assert not list(
        elementwise_moves(graph, graph.op("o"), {"a.out": 3, "b.out": 13}, ("o.out", 20), ShiftLimits())
    )


@pytest.mark.parametrize("gate", ["hard-sigmoid", "sigmoid"])
def test_a_product_with_its_gate_has_a_bound_of_its_own(gate: str) -> None:
    net = Net()
    graph = net.done(net.add("eltwise-mul", "o", ("x", net.add(gate, "g", ("x",)))))
    ins = {"x": 10, "g.out": 7}
    moves = list(elementwise_moves(graph, graph.op("o"), ins, ("o.out", 0), LIMITS))
    assert [(move.name, move.position) for move in moves] == [("o.out", 2)]
    off = replace(LIMITS, hard_swish=False)
    assert not list(elementwise_moves(graph, graph.op("o"), ins, ("o.out", 0), off))


@pytest.mark.parametrize("unsigned", [False, True])
def test_a_graph_is_aligned_and_unsigned_ones_too(unsigned: bool) -> None:
    graph = at(network("eltwise-add"), unsigned, x=4, aw=4, bw=12, a=2, b=14, o=20)
    after, notes = align_positions(graph, place(graph, RECIPE), RECIPE)
    assert [position(after, f"{name}.out") for name in "abo"] == [2, 9, 9]
    assert [note.op for note in notes] == ["o", "o"]
    same, notes = align_positions(graph, place(graph, DPU_CNN), DPU_CNN)
    assert position(same, "o.out") == 20 and not notes

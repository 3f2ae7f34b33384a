"""Properties every layout has, on chains, skips, branches and random graphs."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from quantforge.reporting.graph_layout import Layout, lay_out

Edges = dict[str, list[str]]


def random_graph(seed: int, count: int = 120) -> tuple[list[str], Edges]:
    chance = random.Random(seed)
    names = [f"n{i}" for i in range(count)]
    edges = {
        name: sorted(
            {names[max(0, i - chance.choice((1, 1, 1, 2, 3, 20)))] for _ in range(chance.choice((1, 1, 2)))}
        )
        for i, name in enumerate(names)
        if i
    }
    return names, edges


def check(layout: Layout, names: list[str], edges: Edges) -> None:
    assert set(layout.places) == set(names)
    for name in names:
        column, row = layout.places[name]
        assert column >= 0.0 and column + 1.0 <= layout.columns + 1e-6
        assert 0 <= row < layout.rows
        for source in edges.get(name, ()):
            above = layout.places[source][1]
            assert above < row
            assert [row for _, row in layout.routes[source, name]] == list(range(above + 1, row))
    for row in range(layout.rows):
        columns = sorted(column for column, r in layout.places.values() if r == row)
        assert all(b - a >= 1.0 - 1e-6 for a, b in pairwise(columns)), "boxes overlap"
        for points in layout.routes.values():
            for x, r in points:
                assert r != row or all(not column < x < column + 1.0 for column in columns), (
                    "an edge crosses a box"
                )


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs(seed: int):
    names, edges = random_graph(seed)
    check(lay_out(names, edges), names, edges)


def test_a_chain_is_straight():
    names = [f"n{i}" for i in range(30)]
    layout = lay_out(names, {b: [a] for a, b in pairwise(names)})
    assert {column for column, _ in layout.places.values()} == {0.0}
    assert layout.rows == 30


def test_a_chain_with_skips_keeps_its_spine():
    names = [f"n{i}" for i in range(16)]
    edges: Edges = {b: [a] for a, b in pairwise(names)}
    for i in range(3, 16, 3):
        edges[names[i]].append(names[i - 3])
    layout = lay_out(names, edges)
    check(layout, names, edges)
    assert max(c for c, _ in layout.places.values()) - min(c for c, _ in layout.places.values()) < 1e-6


def test_nothing_unknown_and_itself():
    assert lay_out([], {}).rows == 0
    layout = lay_out(["a"], {"a": ["a", "not there"]})
    assert (layout.routes, layout.places["a"]) == ({}, (0.0, 0))

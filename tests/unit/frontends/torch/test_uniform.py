from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from tests.unit.frontends.torch.calls import captured, producers, random  # noqa: E402


def test_what_is_the_same_for_every_sample_becomes_one_row() -> None:
    def positions(m: Any, x: Any) -> Any:
        ones = torch.ones(x.shape[0], 4, dtype=torch.bool)
        return x + torch.cumsum(ones, 1).float().sin()

    calls = [
        positions,
        lambda m, x: x * (m.row.expand(x.shape[0], -1) + 1),
        lambda m, x: torch.cat([m.row.expand(x.shape[0], -1), x], 1),
        lambda m, x: torch.full((x.shape[0], 3), 0.5) * 2,
    ]
    graph = captured(calls, random(2, 4), parts={"row": random(1, 4)})
    assert producers(graph) == ["eltwise-add", "eltwise-mul", "concat", "opaque"]
    assert [op.attrs["type"] for op in graph.ops if op.kind == "opaque"] == ["aten.expand"] * 2
    added = graph.producer(graph.native.returned[0])
    assert added is not None and graph.value(added.inputs[1]).shape == (1, 4)


def test_what_depends_on_the_size_of_the_batch_does_not_fold() -> None:
    calls = [
        lambda m, x: torch.arange(x.shape[0]) // 8,
        lambda m, x: torch.ones(x.shape[0], 4).cumsum(0),
        lambda m, x: torch.ones(x.shape[0], 4).sum(0),
        lambda m, x: torch.full((x.shape[0],), x.shape[0]),
    ]
    graph = captured(calls, random(2, 4), batch=4)
    assert not any(value.is_const and value.shape == (1,) for value in graph.values)
    assert len([op for op in graph.ops if op.kind != "identity"]) >= 4


def test_a_row_is_spread_where_nobody_else_has_the_size() -> None:
    calls = [lambda m, x: m.row.expand(x.shape[0], -1) + x.sum(0, keepdim=True)]
    captured(calls, random(2, 4), parts={"row": random(1, 4)}, batch=4)

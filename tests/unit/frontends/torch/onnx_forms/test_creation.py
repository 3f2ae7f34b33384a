from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from tests.unit.frontends.torch.calls import random  # noqa: E402
from tests.unit.frontends.torch.onnx_calls import exported  # noqa: E402


def test_sizes_follow_the_batch() -> None:
    calls = [
        lambda m, x: torch.full((x.shape[0], 2), 0.5) + x[:, :2],
        lambda m, x: torch.zeros(x.shape[0] * 2, 3) + torch.ones(2 * x.shape[0], 3),
        lambda m, x: torch.full_like(x, 3.0) * x,
        lambda m, x: torch.zeros_like(x, dtype=torch.int64),
        lambda m, x: torch.arange(x.shape[0]),
        lambda m, x: torch.arange(1, 2 * x.shape[0], 2),
        lambda m, x: m.row.expand(x.shape[0], -1),
        lambda m, x: x[:1].repeat(x.shape[0], 2, 2),
        lambda m, x: x.new_ones(x.shape[0], 4),
        lambda m, x: x * x.shape[0],
        lambda m, x: torch.arange(x.shape[0] // 2 + 1),
    ]
    found = exported(calls, random(2, 5), parts={"row": random(1, 3)})
    assert {"arange", "repeat", "expand"} <= found


def test_triangles() -> None:
    calls = [
        lambda m, x: torch.tril(x),
        lambda m, x: torch.triu(x, 1),
        lambda m, x: torch.tril(x > 0, -1),
    ]
    exported(calls, random(2, 4, 4))

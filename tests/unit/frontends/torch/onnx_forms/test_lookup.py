from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from tests.unit.frontends.torch.calls import random  # noqa: E402
from tests.unit.frontends.torch.onnx_calls import exported  # noqa: E402


def test_gathering() -> None:
    calls = [
        lambda m, x, i: x.gather(1, i.unsqueeze(2).expand(-1, -1, 4)),
        lambda m, x, i: x[:, i[0] % 5],
        lambda m, x, i: x[:, i % 5, i % 4],
        lambda m, x, i: x[i % 2, :, i % 4],
        lambda m, x, i: x[:, :, i % 4],
        lambda m, x, i: x[:, torch.tensor([0, 2])],
        lambda m, x, i: m.table[i],
        lambda m, x, i: torch.take_along_dim(x, i.unsqueeze(2) % 5, 1),
    ]
    found = exported(
        calls,
        random(2, 5, 4),
        torch.tensor([[0, 3, 1], [4, 2, 2]]),
        parts={"table": random(6, 3)},
        batches=(2,),
    )
    assert {"gather", "index"} <= found


def test_putting() -> None:
    def put(m, x, i):  # type: ignore[no-untyped-def]
        y = x.clone()
        y[:, 1:3] = 0.5
        return y

    def put_at(m, x, i):  # type: ignore[no-untyped-def]
        y = x.clone()
        y[:, torch.tensor([0, 2])] = x[:, :2]
        return y

    def put_where(m, x, i):  # type: ignore[no-untyped-def]
        y = x.clone()
        y[x > 0] = -1.0
        return y

    calls = [
        put,
        put_where,
        lambda m, x, i: x.scatter(1, i.unsqueeze(2).expand(-1, -1, 4), 9.0),
        lambda m, x, i: x.scatter_add(1, i.unsqueeze(2).expand(-1, -1, 4), x[:, :3]),
        lambda m, x, i: torch.zeros_like(x).scatter(1, i.unsqueeze(2), x),
        lambda m, x, i: x.index_add(1, torch.tensor([0, 2]), x[:, :2], alpha=2),
        lambda m, x, i: x.index_put((torch.tensor([0]), torch.tensor([1])), torch.tensor(5.0)),
        lambda m, x, i: x.masked_scatter(x > 0, x * 2),
    ]
    found = exported(calls, random(2, 5, 4), torch.tensor([[0, 3, 1], [4, 2, 1]]), batches=(2,))
    assert {"scatter", "index_put", "scatter_add", "masked_scatter"} <= found


def test_order() -> None:
    calls = [
        lambda m, x: torch.topk(x, 3, dim=1)[0],
        lambda m, x: torch.topk(x, 2, dim=2, largest=False)[1],
        lambda m, x: torch.sort(x, dim=1)[0],
        lambda m, x: torch.sort(x, dim=2, descending=True)[1],
        lambda m, x: torch.argsort(x, dim=1),
        lambda m, x: x.max(1)[1],
        lambda m, x: x.min(2, keepdim=True)[1],
        lambda m, x: x.max(),
        lambda m, x: x.argmax(),
        lambda m, x: x.argmin(1),
        lambda m, x: (x > 0).long().argmax(1),
        lambda m, x: torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0])),
        lambda m, x: torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0]), right=True),
    ]
    assert {"topk", "sort", "max", "argmin", "bucketize"} <= exported(calls, random(2, 5, 4))

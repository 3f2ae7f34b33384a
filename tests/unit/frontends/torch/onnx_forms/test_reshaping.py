from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch.nn import functional  # noqa: E402

from tests.unit.frontends.torch.calls import random  # noqa: E402
from tests.unit.frontends.torch.onnx_calls import exported  # noqa: E402


def test_moves() -> None:
    calls = [
        lambda m, x: x.flip(1, 2),
        lambda m, x: torch.roll(x, (1, -2), (1, 2)),
        lambda m, x: x.unfold(2, 3, 2),
        lambda m, x: functional.pad(x, (-1, 2)),
        lambda m, x: functional.pad(x, (1, -1, -1, 1), value=0.5),
        lambda m, x: torch.diagonal(x, 0, 1, 2),
        lambda m, x: torch.diagonal(x, -1, 1, 2),
        lambda m, x: torch.cat([x, x.round().long()], 1),
        lambda m, x: torch.stack([x > 0, x > 1], 1),
        lambda m, x: torch.slice_scatter(x, x[:, :2] * 2, 1, 1, 3),
        lambda m, x: torch.select_scatter(x, x[:, 0], 1, -1),
        lambda m, x: functional.pad(x > 0, (1, 1)),
        lambda m, x: x.unbind(1)[2],
    ]
    found = exported(calls, random(2, 4, 6))
    assert {"unfold", "diagonal", "slice_scatter"} <= found


def test_sizes_that_depend_on_the_batch() -> None:
    calls = [
        lambda m, x: x.reshape(x.shape[0] * 2, -1, x.shape[2]).sum(1),
        lambda m, x: torch.cat([x, x])[: x.shape[0] + 1],
        lambda m, x: torch.cat([x, x])[x.shape[0] :],
        lambda m, x: x[-1],
    ]
    exported(calls, random(2, 4, 6))

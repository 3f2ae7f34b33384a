from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from tests.unit.frontends.torch.calls import random  # noqa: E402
from tests.unit.frontends.torch.onnx_calls import exported  # noqa: E402


def test_reductions() -> None:
    calls = [
        lambda m, x: (x > 0).sum(1),
        lambda m, x: x.round().long().sum((1, 2)),
        lambda m, x: x.cumsum(1),
        lambda m, x: (x > 0).long().cumsum(2),
        lambda m, x: x.prod(1),
        lambda m, x: torch.var(x, 1),
        lambda m, x: torch.var_mean(x, 1)[0],
        lambda m, x: torch.std_mean(x, 2, keepdim=True)[1],
        lambda m, x: torch.std(x, 2, unbiased=False, keepdim=True),
        lambda m, x: torch.linalg.vector_norm(x, 1, 2),
        lambda m, x: torch.linalg.vector_norm(x, float("inf"), 1),
        lambda m, x: x.norm(dim=1, keepdim=True),
        lambda m, x: torch.logsumexp(x, 1),
        lambda m, x: x.long().amax(1),
    ]
    assert {"sum", "cumsum", "prod", "linalg_vector_norm"} <= exported(calls, random(2, 5, 4))

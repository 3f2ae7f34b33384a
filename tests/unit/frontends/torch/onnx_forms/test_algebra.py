from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch.nn import functional  # noqa: E402

from tests.unit.frontends.torch.calls import random  # noqa: E402
from tests.unit.frontends.torch.onnx_calls import exported  # noqa: E402


def test_products() -> None:
    calls = [
        lambda m, x: x @ m.vector,
        lambda m, x: functional.linear(x, m.weight * x.mean(), m.vector[:3] * x.mean()),
        lambda m, x: torch.baddbmm(x[:, :, :3], x, x.transpose(1, 2), beta=0.5, alpha=2),
        lambda m, x: torch.einsum("bij,bkj->bik", x, x),
    ]
    exported(calls, random(2, 3, 5), parts={"vector": random(5), "weight": random(3, 5)})

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.attention_kernels import masked_softmax  # noqa: E402
from quantforge.graph import Op  # noqa: E402
from quantforge.ops.masked_softmax import compute  # noqa: E402
from tests.unit.frontends.torch.calls import random  # noqa: E402


@pytest.mark.parametrize("axis", [-1, 1])
def test_the_kernel_is_the_reference(axis: int) -> None:
    x, kept = random(2, 3, 4), random(2, 3, 4, seed=1) > 0
    kept[0, 0] = False
    low = torch.where(random(3, 4, seed=2) > 0, 0.0, torch.finfo(torch.float32).min)
    for masks in ((), (kept,), (low,), (low, kept, low)):
        op = Op("masked-softmax", "op", ("x",), ("y",), {"axis": axis})
        want = compute(op, [x.numpy(), *(mask.numpy() for mask in masks)])[0]
        np.testing.assert_allclose(masked_softmax(op)([x, *masks]).numpy(), want, rtol=1e-5, atol=1e-7)

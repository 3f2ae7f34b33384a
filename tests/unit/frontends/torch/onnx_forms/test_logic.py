from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from tests.unit.frontends.torch.calls import random  # noqa: E402
from tests.unit.frontends.torch.onnx_calls import exported  # noqa: E402


def test_comparisons() -> None:
    names = ("eq", "ne", "lt", "le", "gt", "ge")
    numbers = [lambda m, x, i, name=name: getattr(torch, name)(i, 2) for name in names]
    tensors = [lambda m, x, i, name=name: getattr(torch, name)(i, x) for name in names]
    mixed = [lambda m, x, i: i > 1.5, lambda m, x, i: (x > 0) == (i > 0), lambda m, x, i: x.round() == i]
    found = exported([*numbers, *tensors, *mixed], random(2, 6), torch.arange(12).reshape(2, 6) - 3)
    assert set(names) <= found


def test_logic_on_booleans() -> None:
    calls = [
        lambda m, x: (x > 0) & (x < 1),
        lambda m, x: (x > 0) | (x < -1),
        lambda m, x: (x > 0) ^ (x < 1),
        lambda m, x: ~(x > 0),
        lambda m, x: torch.logical_and(x, x > 1),
        lambda m, x: torch.logical_not(x > 1),
        lambda m, x: (x > 0).any(1),
        lambda m, x: (x > -2).all(2, keepdim=True),
        lambda m, x: torch.isnan(x) | torch.isinf(x),
    ]
    assert {"bitwise_and", "bitwise_not", "logical_and", "any", "isnan"} <= exported(calls, random(2, 3, 4))


def test_choosing() -> None:
    calls = [
        lambda m, x: torch.where(x > 0, x, 2.0),
        lambda m, x: torch.where(x > 0, 1, 0),
        lambda m, x: x.masked_fill(x < 0, -1e9),
        lambda m, x: torch.where(x > 0, x.round().long(), -1),
        lambda m, x: (x > 0).long().masked_fill(x > 1, 7),
    ]
    exported(calls, random(2, 3, 4))


def test_integers_have_no_bits() -> None:
    from quantforge.diagnostics import UnsupportedError

    with pytest.raises(UnsupportedError, match=r"Q0605 op 'bitwise_and'.*aten\.bitwise_and with integers"):
        exported([lambda m, i: i & 3], torch.arange(6).reshape(2, 3))

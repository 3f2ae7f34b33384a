from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from tests.unit.frontends.torch.calls import random  # noqa: E402
from tests.unit.frontends.torch.onnx_calls import exported  # noqa: E402


def test_functions_of_one_tensor() -> None:
    names = (
        "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "atanh", "sign", "floor", "ceil",
        "round", "trunc", "expm1", "erfc",
    )  # fmt: skip
    calls = [lambda m, x, name=name: getattr(torch, name)(x * 0.3) for name in names]
    positive = [
        lambda m, x, name=name: getattr(torch, name)(x * x + 1.5)
        for name in ("log2", "log10", "log1p", "acosh")
    ]
    found = exported([*calls, *positive], random(2, 3, 5))
    assert {"sin", "cos", "floor", "trunc", "log2", "log1p", "expm1"} <= found


def test_integers() -> None:
    calls = [
        lambda m, i: i + 3,
        lambda m, i: 7 - i,
        lambda m, i: i * i - 2 * i,
        lambda m, i: i / 4,
        lambda m, i: torch.div(i, 4, rounding_mode="floor"),
        lambda m, i: torch.div(i, 4, rounding_mode="trunc"),
        lambda m, i: i // 3,
        lambda m, i: i % 5,
        lambda m, i: torch.fmod(i, 5),
        lambda m, i: i.clamp(-2, 3),
        lambda m, i: i.abs() + torch.maximum(i, -i),
        lambda m, i: torch.sin(i),
        lambda m, i: i.float().sqrt().floor().nan_to_num(),
        lambda m, i: i**2,
    ]
    numbers = torch.arange(-9, 9).reshape(2, 9)
    assert {"floor_divide", "remainder", "fmod", "clamp", "sin"} & exported(calls, numbers)


def test_floats_divide_and_leave_rests() -> None:
    calls = [
        lambda m, x: torch.div(x, 0.3, rounding_mode="floor"),
        lambda m, x: torch.div(x, 0.3, rounding_mode="trunc"),
        lambda m, x: torch.remainder(x, 0.7),
        lambda m, x: torch.fmod(x, 0.7),
        lambda m, x: torch.atan2(x, x.flip(1)),
        lambda m, x: torch.add(x, x.round(), alpha=2),
        lambda m, x: torch.sub(x, x.double(), alpha=2).float(),
        lambda m, x: torch.pow(2.0, x),
    ]
    assert {"div", "remainder", "fmod", "atan2"} <= exported(calls, random(2, 7))

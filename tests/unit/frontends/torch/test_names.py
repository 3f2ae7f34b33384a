from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.names import Namer, operator_name, packet_name  # noqa: E402


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: Any) -> Any:
        return torch.relu(self.conv(x) + x)


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(Inner(), nn.ReLU(), Inner())
        self.again = self.stages[1]

    def forward(self, x: Any) -> Any:
        return self.again(self.stages(x)) + torch.relu(x)


def test_paths_of_modules_and_operators_of_code() -> None:
    graph = import_module(Outer(), torch.zeros(2, 3, 4, 4))
    assert [op.name for op in graph.ops] == [
        "stages.0.conv",
        "stages.0.add",
        "stages.0.relu",
        "stages.1",
        "stages.2.conv",
        "stages.2.add",
        "stages.2.relu",
        "again",
        "relu",
        "add",
    ]


def test_a_library_module_of_several_calls_names_each() -> None:
    graph = import_module(Attention(), torch.zeros(2, 3, 4))
    assert "attention.softmax" in [op.name for op in graph.ops]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.attention(x, x, x)[0]


def test_names_are_given_once() -> None:
    namer = Namer([], ["a"])
    assert [namer.fresh("a"), namer.fresh("a"), namer.fresh("b")] == ["a_1", "a_2", "b"]


def test_names_of_operators() -> None:
    assert operator_name(torch.ops.aten._native_batch_norm_legit_no_training.default) == "batch_norm"
    assert packet_name(torch.ops.aten.conv2d.default) == "conv2d"
    assert packet_name(len) is None

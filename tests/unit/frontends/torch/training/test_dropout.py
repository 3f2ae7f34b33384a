from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.quantizer import prepared_graph  # noqa: E402
from quantforge.frontends.torch.recipes import dpu_recipe  # noqa: E402
from quantforge.frontends.torch.training.dropout import dropouts_of, lost_dropouts  # noqa: E402


class Branches(nn.Module):
    """One dropout read twice, one called twice, one at the end, and what `functional.dropout` leaves behind."""

    def __init__(self) -> None:
        super().__init__()
        self.once, self.twice, self.end = nn.Dropout(0.1), nn.Dropout(0.3), nn.Dropout2d(0.5)
        self.a, self.b, self.c = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.once(x)
        x = self.twice(self.a(x)) + self.twice(self.b(x))
        return self.end(nn.functional.dropout(self.c(x), 0.2, self.training))


def test_dropouts_stand_in_front_of_what_read_them() -> None:
    module = Branches().eval()
    captured = import_module(module, torch.zeros(1, 3, 4, 4))
    modules, places = dropouts_of(module, captured, prepared_graph(captured, dpu_recipe()).graph)
    assert places == {("a", 0): "once", ("b", 0): "once", ("add", 0): "twice", ("add", 1): "twice_1"}
    assert set(modules) == {"once", "twice", "twice_1"}
    assert modules["twice_1"].p == 0.3 and modules["twice"] is not module.twice
    assert lost_dropouts(module, torch.zeros(1, 3, 4, 4), None, len(modules)) == 2


def test_a_module_without_dropout() -> None:
    module = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()).eval()
    captured = import_module(module, torch.zeros(1, 3, 4, 4))
    assert dropouts_of(module, captured, captured) == ({}, {})

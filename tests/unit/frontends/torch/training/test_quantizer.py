from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.training.quantizer import TrainedQuantizer  # noqa: E402
from quantforge.frontends.torch.training.tqt import Grid  # noqa: E402
from quantforge.numerics.rounding import Rounding  # noqa: E402

GRID = Grid(8, Rounding.HALF_UP)


@pytest.mark.parametrize("position", [-4, 0, 7, 12])
def test_it_begins_at_a_position_and_says_so(position: int) -> None:
    quantizer = TrainedQuantizer(8, Rounding.HALF_AWAY)
    quantizer.begin_at(position)
    assert quantizer.position == position
    assert (quantizer.spec.position, quantizer.spec.rounding) == (position, Rounding.HALF_AWAY)


def test_switched_off_it_leaves_tensors_alone_but_for_its_relu() -> None:
    quantizer, x = TrainedQuantizer(8, Rounding.HALF_UP), torch.tensor([-0.3, 0.3])
    assert quantizer(x, GRID).tolist() != x.tolist()
    quantizer.enabled = False
    assert quantizer(x, GRID) is x
    assert quantizer(x, Grid(8, Rounding.HALF_UP, True)).tolist() == torch.relu(x).tolist()

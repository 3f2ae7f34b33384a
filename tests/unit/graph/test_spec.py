from __future__ import annotations

import pytest

from quantforge.graph import QuantSpec
from quantforge.numerics.formats import BFLOAT16, INT8


@pytest.mark.parametrize("position", [-40, -1, 0, 5, 31, 200])
def test_positions_read_back(position: int) -> None:
    assert QuantSpec.power_of_two(INT8, position).position == position


@pytest.mark.parametrize(
    "spec",
    [
        QuantSpec(INT8, (0.3,)),
        QuantSpec(INT8, (0.5,), (1,)),
        QuantSpec(INT8, (0.5, 0.5), (0, 0), 0),
        QuantSpec(BFLOAT16),
    ],
)
def test_only_one_power_of_two_without_zero_point_has_a_position(spec: QuantSpec) -> None:
    assert spec.position is None


def test_specs_compare_by_value() -> None:
    assert QuantSpec(INT8, (0.5,)) == QuantSpec.power_of_two(INT8, 1)


@pytest.mark.parametrize("step", [-3, 0, 2])
def test_moved_scales_are_finer_by_that_many_bits_and_nothing_else_changes(step: int) -> None:
    assert QuantSpec.power_of_two(INT8, 5).moved(step) == QuantSpec.power_of_two(INT8, 5 + step)
    moved = QuantSpec(INT8, (0.3, 0.5), (3, -7), 1).moved(step)
    assert moved == QuantSpec(INT8, (0.3 / 2.0**step, 0.5 / 2.0**step), (3, -7), 1)

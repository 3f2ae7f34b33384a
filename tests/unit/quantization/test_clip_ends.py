from __future__ import annotations

from dataclasses import replace

import pytest

from quantforge.graph import QuantSpec
from quantforge.numerics.formats import INT8, UINT8
from quantforge.passes.dpu_arithmetic import DpuArithmetic
from quantforge.quantization.clip_ends import with_clip_ends
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import DPU_CNN
from quantforge.quantization.solve import solve
from tests.networks import Net

RECIPE = replace(DPU_CNN, dpu_arithmetic=DpuArithmetic(clip=True))


@pytest.mark.parametrize(
    ("low", "high", "before", "after"),
    [
        (0.0, 2.0, 5, 6), (0.0, 1.0, 6, 7), (0.0, 1.0, 4, 7), (0.0, 2.0, 6, 6), (0.0, 6.0, 4, 4), (0.0, 2.0, 7, 7),
        (-1.0, 2.0, 5, 5),
    ],
)  # fmt: skip
def test_the_position_behind_a_clip(low: float, high: float, before: int, after: int) -> None:
    net = Net()
    clip = net.add("clip", "k", (net.conv("c", "x", 4),), min=low, max=high)
    graph = net.done(net.conv("d", clip, 3))
    places = place(graph, RECIPE)
    solved = solve(graph, places, RECIPE, lambda group, rule: QuantSpec.power_of_two(INT8, before))
    found = with_clip_ends(solved, places, RECIPE)
    assert found.value("k.out").quant == QuantSpec.power_of_two(INT8, after)
    assert found.value("d.out").quant == QuantSpec.power_of_two(INT8, before)
    assert with_clip_ends(solved, places, DPU_CNN) is solved


def test_a_zero_point_counts_and_other_scales_stay() -> None:
    net = Net()
    graph = net.done(net.add("clip", "k", (net.conv("c", "x", 4),), min=0.0, max=1.0))
    places = place(graph, RECIPE)
    for spec, after in (
        (QuantSpec(UINT8, (2.0**-6,), (128,)), 2.0**-7),
        (QuantSpec(UINT8, (2.0**-7,), (0,)), 2.0**-8),
        (QuantSpec(UINT8, (0.1,), (0,)), 0.1),
    ):
        solved = solve(graph, places, RECIPE, lambda group, rule, spec=spec: spec)  # type: ignore[misc]
        found = with_clip_ends(solved, places, RECIPE).value("k.out").quant
        assert found is not None and found.scale == (after,)

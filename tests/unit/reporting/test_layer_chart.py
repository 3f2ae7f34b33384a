"""Which layers the chart shows and where it puts them."""

from __future__ import annotations

import math
import re
from itertools import pairwise

from quantforge.quantization.report import LayerReport
from quantforge.reporting.layer_chart import WIDTH, draw_errors
from tests.unit.reporting.samples import large_report


def layer(name: str, added: float | None, accumulated: float | None = None) -> LayerReport:
    return LayerReport(name, "conv2d", "int8", added_db=added, accumulated_db=accumulated)


def tops(chart: str) -> list[float]:
    return [
        float(y)
        for y in re.findall(r'<rect x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="[\d.]+" rx', chart)
    ]


def test_more_noise_is_a_taller_column():
    heights = tops(draw_errors([layer("a", 40.0), layer("b", 30.0), layer("c", 20.0)]))
    assert heights[0] > heights[1] > heights[2]
    assert math.isclose(heights[0] - heights[1], heights[1] - heights[2], abs_tol=0.11)


def test_a_layer_at_zero_decibels_is_shown():
    assert len(tops(draw_errors([layer("a", 0.0, 0.0), layer("b", 30.0)]))) == 2


def test_layers_that_lose_nothing_are_left_out():
    assert draw_errors([layer("a", math.inf), layer("b", None)]) == ""
    chart = draw_errors([layer("a", math.inf, 30.0), layer("b", None, 20.0), layer("c", None)])
    assert tops(chart) == []
    assert chart.count("<circle") == 2


def test_many_layers_widen_the_chart():
    def width(blocks: int) -> float:
        found = re.search(r'viewBox="0 0 (\d+)', draw_errors(large_report(blocks).layers))
        assert found
        return float(found[1])

    assert width(10) == WIDTH
    assert width(80) > WIDTH


def test_labels_do_not_collide():
    chart = draw_errors([layer(f"layer {i}", 20.0 + i) for i in range(40)])
    places = sorted(float(x) for x in re.findall(r'<text x="([\d.]+)" y="[\d.]+" class="label"', chart))
    assert len(places) == 3
    assert all(b - a > 40 for a, b in pairwise(places))

"""The outline, the grid over it, and what lies outside."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from quantforge.graph import QuantSpec
from quantforge.numerics.formats import FLOAT16, INT8, UINT8, IntFormat
from quantforge.quantization.report import Histogram, TensorKind, TensorReport
from quantforge.reporting.histogram_chart import NARROWEST_GAP, WIDTH, draw_histogram, hairline_step
from tests.unit.reporting.samples import histogram

VALUES = np.random.default_rng(0).standard_normal(3000)


def tensor(spec: QuantSpec, shape: Histogram | None = None) -> TensorReport:
    return TensorReport("t", TensorKind.ACTIVATION, spec, -4.0, 4.0, histogram=shape or histogram(VALUES))


def numbers(chart: str, pattern: str) -> list[float]:
    found = re.search(pattern, chart)
    assert found, chart
    return [float(group) for group in found.groups()]


@pytest.mark.parametrize("bits", range(2, 17))
def test_hairlines_stand_on_integers_and_apart(bits: int):
    spec = QuantSpec(IntFormat(bits), (4.0 / 2 ** (bits - 1),), (0,))
    chart = draw_histogram(tensor(spec))
    width, gap = numbers(chart, r'stroke-dasharray="([\d.]+) ([\d.]+)"')
    assert width + gap >= NARROWEST_GAP
    assert bits > 6 or hairline_step(tensor(spec)) == 1
    start, end = numbers(chart, r'<line x1="([\d.]+)" x2="([\d.]+)"')
    zero = numbers(chart, r'<line x1="([\d.]+)" x2="[\d.]+" y1="\d+" y2="\d+" class="zero"')[0]
    steps = (zero - start - width / 2) / (width + gap)
    assert abs(steps - round(steps)) < 0.06, "a hairline stands on zero"
    assert 0 <= start < end <= WIDTH


def test_what_is_clipped_is_marked():
    assert draw_histogram(tensor(QuantSpec.power_of_two(INT8, 7))).count('class="clipped"') == 2
    assert draw_histogram(tensor(QuantSpec.power_of_two(INT8, 4))).count('class="clipped"') == 0
    assert draw_histogram(tensor(QuantSpec(UINT8, (0.05,), (0,)))).count('class="clipped"') == 1


def test_formats_without_one_grid_have_no_hairlines():
    per_axis = tensor(QuantSpec(INT8, (0.1, 0.2), (0, 0), 0))
    assert hairline_step(per_axis) == 0
    assert 'class="band"' in draw_histogram(per_axis)
    assert "hairlines" not in draw_histogram(per_axis)
    assert "band" not in draw_histogram(tensor(QuantSpec(FLOAT16)))


def test_nothing_to_draw():
    assert draw_histogram(replace(tensor(QuantSpec(INT8)), histogram=None)) == ""
    assert draw_histogram(tensor(QuantSpec(INT8), Histogram((0.0, 1.0), (0,)))) == ""


def test_bins_of_any_width():
    uneven = Histogram((0.0, 0.0, 0.001, 1.0, 64.0), (5, 10, 0, 3))
    chart = draw_histogram(tensor(QuantSpec.power_of_two(INT8, 1), uneven))
    assert "nan" not in chart and "inf" not in chart
    assert 'class="counts"' in chart


def test_a_single_spike():
    chart = draw_histogram(tensor(QuantSpec(FLOAT16), Histogram((3.0, 3.0), (7,))))
    assert "nan" not in chart

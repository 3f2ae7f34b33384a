"""Every method and kind of scale ends in the right spec."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.calibration.choose import choose_spec, range_of, spec_of_range
from quantforge.calibration.methods import RangeMethod, ScaleKind
from quantforge.calibration.sketch import Extent, Sketch, sketch_of
from quantforge.graph import QuantSpec
from quantforge.numerics import affine_parameters
from quantforge.numerics.formats import BFLOAT16, INT8, UINT8, IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.quantization.recipe import TensorRule

NORMAL = np.random.default_rng(13).standard_normal(20_000).astype(np.float32)
SKETCH = sketch_of([NORMAL])
LO, HI = float(NORMAL.min()), float(NORMAL.max())


def test_min_max_spans_the_extremes() -> None:
    scale, zero = affine_parameters(LO, HI, UINT8, False)
    assert choose_spec(SKETCH, TensorRule(UINT8, symmetric=False)) == QuantSpec(UINT8, (scale,), (zero,))


def test_the_rounding_of_the_rule_is_kept() -> None:
    assert choose_spec(SKETCH, TensorRule(rounding=Rounding.HALF_UP)).rounding is Rounding.HALF_UP


@pytest.mark.parametrize("method", list(RangeMethod))
@pytest.mark.parametrize("scales", list(ScaleKind))
@pytest.mark.parametrize("symmetric", [True, False])
def test_every_method_gives_a_sensible_spec(method: RangeMethod, scales: ScaleKind, symmetric: bool) -> None:
    rule = TensorRule(INT8, scales, symmetric, method=method, percentile=99.9)
    spec = choose_spec(SKETCH, rule)
    top = spec.scale[0] * 127.5
    assert 2.0 < top < 8.5
    if scales is ScaleKind.POWER_OF_TWO and symmetric:
        assert spec.position in (4, 5, 6)
    assert spec.zero_point == (0,) if symmetric else abs(spec.zero_point[0]) < 40


@pytest.mark.parametrize("method", list(RangeMethod))
@pytest.mark.parametrize("scales", list(ScaleKind))
@pytest.mark.parametrize("values", [np.zeros(0), np.zeros(9)], ids=["nothing", "zeros"])
def test_zeros_and_nothing_have_scale_one(method: RangeMethod, scales: ScaleKind, values: np.ndarray) -> None:
    rule = TensorRule(UINT8, scales, False, method=method)
    assert choose_spec(sketch_of([values.astype(np.float32)]), rule) == QuantSpec(UINT8, (1.0,), (0,))


def test_a_constant_is_represented_exactly_enough() -> None:
    spec = choose_spec(sketch_of([np.full(10, 3.0, np.float32)]), TensorRule(UINT8, symmetric=False))
    assert spec == QuantSpec(UINT8, (float(np.float32(3.0 / 255)),), (0,))


def test_float_formats_have_no_range() -> None:
    assert choose_spec(SKETCH, TensorRule(BFLOAT16)) == QuantSpec(BFLOAT16)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("method", list(RangeMethod))
@pytest.mark.parametrize(
    "format", [INT8, UINT8, IntFormat(8, narrow=True), IntFormat(16), IntFormat(4, signed=False)]
)
@pytest.mark.parametrize("values", [NORMAL, np.abs(NORMAL), -np.abs(NORMAL) * 1e-3, np.zeros(3, np.float32)])
def test_the_range_of_a_position_gives_the_position_back(
    symmetric: bool, method: RangeMethod, format: IntFormat, values: np.ndarray
) -> None:
    rule = TensorRule(format, ScaleKind.POWER_OF_TWO, symmetric, method=method)
    grid = range_of(sketch_of([values]), rule)
    spec = spec_of_range(grid, rule)
    ends = [(q - spec.zero_point[0]) * spec.scale[0] for q in (format.qmin, format.qmax)]
    assert [grid.lo, grid.hi] == ends


def test_an_outlier_does_not_rule_the_position() -> None:
    rule = TensorRule(scales=ScaleKind.POWER_OF_TWO, method=RangeMethod.MSE)
    assert choose_spec(sketch_of([np.append(NORMAL, np.float32(10.0))]), rule).position == 4


def test_an_empty_range_counts_as_zero() -> None:
    assert spec_of_range(Extent(), TensorRule()) == QuantSpec(INT8, (1.0,), (0,))
    assert choose_spec(Sketch(), TensorRule(scales=ScaleKind.POWER_OF_TWO)).position == 0

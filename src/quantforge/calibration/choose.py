"""From a sketch and a rule to the spec of a tensor: the one place where range methods are dispatched."""

from __future__ import annotations

from quantforge.calibration.methods import RangeMethod, RangeRule, ScaleKind
from quantforge.calibration.positions import least_error, non_overflow
from quantforge.calibration.ranges import min_max_range, mse_range, percentile_range
from quantforge.calibration.segments import Segments, segments_of
from quantforge.calibration.sketch import Extent, Sketch
from quantforge.graph import QuantSpec
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.positions import affine_parameters, scale_of_position


def choose_spec(sketch: Sketch, rule: RangeRule) -> QuantSpec:
    """The spec that `rule` gives to a tensor with these values. A tensor without values counts as zero.

    >>> from quantforge.quantization.recipe import TensorRule
    >>> import numpy as np
    >>> sketch = Sketch()
    >>> _ = sketch.add(np.linspace(-1, 1, 1001, dtype=np.float32))
    >>> choose_spec(sketch, TensorRule(scales=ScaleKind.POWER_OF_TWO, method=RangeMethod.NON_OVERFLOW)).position
    6
    """
    return spec_of_range(range_of(sketch, rule), rule)


def range_of(sketch: Sketch, rule: RangeRule) -> Extent:
    """The range of real values that `rule` lets the format cover, before it becomes a spec.

    With power-of-two scales it is the range of the chosen grid, from which `spec_of_range` finds the same position.
    """
    segments = segments_of(sketch)
    extent = min_max_range(segments)
    if not isinstance(rule.format, IntFormat):
        return extent
    if rule.method is RangeMethod.PERCENTILE:
        extent = percentile_range(segments, rule.percentile, rule.symmetric)
    elif rule.method is RangeMethod.ENTROPY:
        extent = _entropy_range(segments)
    elif rule.method is RangeMethod.MSE and rule.scales is ScaleKind.FLOAT:
        extent = mse_range(segments, rule.format, rule.symmetric, rule.rounding, rule.slack)
    elif rule.method is RangeMethod.MSE:
        found = least_error(segments, extent, rule.format, rule.symmetric, rule.rounding, slack=rule.slack)
        return found.ends(rule.format)
    return grid_range(extent, rule)


def grid_range(extent: Extent, rule: RangeRule) -> Extent:
    """With power-of-two scales the range of the finest grid that holds `extent`, else `extent` itself."""
    if rule.scales is ScaleKind.FLOAT or not isinstance(rule.format, IntFormat) or extent.empty:
        return extent
    return non_overflow(extent, rule.format, rule.symmetric).ends(rule.format)


def spec_of_range(extent: Extent, rule: RangeRule) -> QuantSpec:
    """The spec whose grid spans `extent`; with power-of-two scales the finest one that holds it."""
    if not isinstance(rule.format, IntFormat):
        return QuantSpec(rule.format, rounding=rule.rounding)
    if extent.empty:
        extent = Extent(0.0, 0.0)
    if rule.scales is ScaleKind.POWER_OF_TWO:
        found = non_overflow(extent, rule.format, rule.symmetric)
        scale, zero_point = scale_of_position(found.position), found.zero_point
    else:
        scale, zero_point = affine_parameters(
            min(extent.lo, 0.0), max(extent.hi, 0.0), rule.format, rule.symmetric
        )
    return QuantSpec(rule.format, (scale,), (zero_point,), None, rule.rounding)


def _entropy_range(segments: Segments) -> Extent:
    from quantforge.calibration.entropy import entropy_range  # compiled code that no other method needs

    return entropy_range(segments)

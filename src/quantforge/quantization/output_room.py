"""Room for the samples to come in the grids of the network's outputs.

What: the power of two of an output is the one of least error for values 1 + `MARGIN` times as far from zero as those
seen, the present position or one beside it.
Why: nothing behind an output makes up for saturation, and a few hundred samples do not show the largest values of
thousands; the next finer grid is worth its bit only where hardly anything lies beyond it.
Cost: none that counts.
"""

from __future__ import annotations

from quantforge.calibration.errors import expected_error
from quantforge.calibration.runner import Calibration
from quantforge.calibration.segments import Segments, segments_of
from quantforge.graph import Graph, QuantSpec
from quantforge.quantization.places import SpecGroup
from quantforge.quantization.recipe import TensorRule
from quantforge.quantization.solve import ActivationSpec

MARGIN = 0.25


def activation_specs(graph: Graph, calibration: Calibration, room: bool) -> ActivationSpec:
    """What calibration says of a group of values; with `room` for the samples to come where it holds an output."""

    def found(group: SpecGroup, rule: TensorRule) -> QuantSpec:
        spec = calibration.spec(rule, *group.sources)
        if not room or not set(group.values) & set(graph.outputs):
            return spec
        return roomy(spec, segments_of(calibration.sketch(*group.sources)))

    return found


def roomy(spec: QuantSpec, seen: Segments) -> QuantSpec:
    """The power of two of least error for values beyond those seen; other specs as they are.

    >>> import numpy as np
    >>> from quantforge.numerics.formats import INT8
    >>> values = Segments(np.zeros(1), np.array([7.0]), np.ones(1))
    >>> roomy(QuantSpec.power_of_two(INT8, 4), values).position
    3
    """
    if spec.position is None or seen.total == 0:
        return spec
    segments = Segments(seen.lo * (1.0 + MARGIN), seen.hi * (1.0 + MARGIN), seen.count)
    tried = [spec.moved(step) for step in (0, -1, 1)]
    return min(tried, key=lambda one: expected_error(segments, one).mse)

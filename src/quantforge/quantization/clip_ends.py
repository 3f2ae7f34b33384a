"""Results of clips end where the clips do, for those that are to become ReLUs.

    largest stored number = (qmax - zero point) * 2**-p:   the largest p with at least 63/64 of the maximum

Values pile up at the maximum of a clip, so that least error often asks for a coarser scale, which reaches to twice
the maximum. Once the clip is a ReLU (`passes.dpu_clip`), values in between would pass: 127/64 is a good place for a
clip at 2 to end, 127/32 is none. Where no power of two comes near, as for 6, the scale stays.
"""

from __future__ import annotations

import math
from dataclasses import replace

from quantforge.graph import Graph, Op, QuantSpec
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.positions import position_of_scale
from quantforge.ops.activation import limits
from quantforge.quantization.places import Places, SpecGroup
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.solve import respecified

_NEAR = 1.0 - 1.0 / 64.0


def with_clip_ends(graph: Graph, places: Places, recipe: Recipe) -> Graph:
    """A copy of a solved `graph` with such specs of clips from 0, and biases solved for them.

    Unless `recipe.dpu_arithmetic` asks for ReLUs in their place the graph itself is returned. What shares a spec with
    a clip gets the same, if clips with one maximum alone decide it.
    """
    if recipe.dpu_arithmetic is None or not recipe.dpu_arithmetic.clip:
        return graph

    def chosen(group: SpecGroup, spec: QuantSpec) -> QuantSpec | None:
        ends = {_end(graph.producer(name)) for name in group.sources}
        end = ends.pop() if len(ends) == 1 else None
        return None if end is None else _ending_at(spec, end)

    return respecified(graph, places, recipe, chosen)


def _end(op: Op | None) -> float | None:
    """The maximum of a clip from 0."""
    if op is None or op.kind not in ("clip", "relu6"):
        return None
    low, high = limits(op)
    return high if low == 0.0 and 0.0 < high < math.inf else None


def _ending_at(spec: QuantSpec, end: float) -> QuantSpec | None:
    """`spec` on the finest power of two that still comes near `end`; None where that is the same."""
    position = position_of_scale(spec.scale[0])
    if position is None or not isinstance(spec.format, IntFormat) or spec.axis is not None:
        return None
    steps = spec.format.qmax - spec.zero_point[0]
    finest = position
    while math.ldexp(steps, -finest - 1) >= _NEAR * end:
        finest += 1
    near = finest > position and math.ldexp(steps, -finest) <= end
    return replace(spec, scale=(math.ldexp(1.0, -finest),)) if near else None

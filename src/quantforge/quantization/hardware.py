"""The arithmetic of the hardware in a solved graph, where the recipe asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from quantforge.calibration.methods import ScaleKind
from quantforge.graph import Graph
from quantforge.passes.dpu_arithmetic import with_dpu_arithmetic
from quantforge.passes.result import Note
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import Recipe


def as_hardware(graph: Graph, places: Places, recipe: Recipe) -> tuple[Graph, tuple[Note, ...]]:
    """A copy of a solved `graph` that computes as `recipe.dpu_arithmetic` says, and a note for each operator.

    It looks at the rules of values and not at their scales, so that the graph of a later process, whose scales come
    from a file, is the same. Operators that stay in float, or on scales other than powers of two, run on no DPU and
    keep their arithmetic.
    """
    found = with_dpu_arithmetic(graph, recipe.dpu_arithmetic, set(_elsewhere(graph, places)))
    return found.graph, found.notes


def _elsewhere(graph: Graph, places: Places) -> Iterator[str]:
    """The operators that no DPU runs."""
    yield from (place.op for place in places.floats)
    rules = {name: group.rule for group in places.groups for name in group.values}
    for op in graph.ops:
        around = [rules[name] for name in (*op.inputs[:1], *op.outputs) if name in rules]
        if not around or any(rule.scales is not ScaleKind.POWER_OF_TWO for rule in around):
            yield op.name

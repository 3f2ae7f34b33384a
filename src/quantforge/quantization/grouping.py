"""Units in a placement: operators that are quantized as one (`passes.units`), and what lies between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from quantforge.graph import Graph, Op
from quantforge.passes.units.find import find_units
from quantforge.passes.units.unit import Unit
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.rules import override_for


@dataclass(frozen=True)
class Grouping:
    """Which unit each operator belongs to, by name."""

    units: Mapping[str, Unit] = field(default_factory=dict)

    def kind(self, op: Op) -> str:
        """The kind by which a recipe speaks of `op`: that of its unit."""
        unit = self.units.get(op.name)
        return op.kind if unit is None else unit.kind

    def bare(self, op: Op) -> frozenset[str]:
        """What `op` reads and nobody stores for its sake: masks, and the constants inside a unit."""
        unit = self.units.get(op.name)
        return frozenset() if unit is None else unit.bare

    @property
    def inner(self) -> set[str]:
        """Values inside units."""
        return {name for unit in self.units.values() for name in unit.inner}


def grouping_of(graph: Graph, recipe: Recipe) -> Grouping:
    """The units of `graph`: all of them where the recipe asks for units, else masked scores alone.

    A unit of which overrides keep some operators in float is none: the rest is quantized on its own.
    """
    units = {}
    for unit in find_units(graph, masks_alone=not recipe.placement.units).found:
        floats = {_keeps_float(graph.op(name), recipe) for name in unit.ops}
        if len(floats) == 1:
            units.update(dict.fromkeys(unit.ops, unit))
    return Grouping(units)


def _keeps_float(op: Op, recipe: Recipe) -> bool:
    override = override_for(recipe.overrides, op=op.name, kind=op.kind)
    return override is not None and override.keep_float

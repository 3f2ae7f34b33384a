"""All units of a graph, and the pass that records them."""

from __future__ import annotations

from quantforge.graph import Graph
from quantforge.passes.result import Note, PassResult
from quantforge.passes.units.attention import find_attentions
from quantforge.passes.units.bias import find_biases
from quantforge.passes.units.gelu import find_gelus
from quantforge.passes.units.layer_norm import find_layer_norms
from quantforge.passes.units.unit import Unit, Units

_FINDERS = (find_gelus, find_layer_norms, find_attentions, find_biases)


def find_units(graph: Graph, masks_alone: bool = False) -> Units:
    """Every unit, in the order of the graph, and the refusals; an operator belongs to the first that claims it.

    With `masks_alone` just what keeps the masks of attention out of the scales of scores.
    """
    if masks_alone:
        return find_attentions(graph, masks_alone)
    taken: set[str] = set()
    found: list[Unit] = []
    notes: list[Note] = []
    for finder in _FINDERS:
        units = finder(graph)
        notes.extend(units.notes)
        for unit in units.found:
            if taken.isdisjoint(unit.ops):
                taken.update(unit.ops)
                found.append(unit)
    order = {op.name: index for index, op in enumerate(graph.ops)}
    return Units(tuple(sorted(found, key=lambda unit: order[unit.ops[-1]])), tuple(notes))


def record_units(graph: Graph, masks_alone: bool = False) -> PassResult:
    """Changed: the operators of units, whose origin now says which pass saw them as one; nothing else changes."""
    graph = graph.copy()
    units = find_units(graph, masks_alone)
    notes = []
    for unit in units.found:
        for name in unit.ops:
            graph.replace_op(graph.op(name).changed(unit.made_by))
        notes.append(Note(unit.made_by, unit.ops[-1], True, f"{len(unit.ops)} operators are one {unit.kind}"))
    return PassResult(graph, tuple(n for unit in units.found for n in unit.ops), (*notes, *units.notes))

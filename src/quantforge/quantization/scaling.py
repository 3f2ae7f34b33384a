"""All that scales layers before calibration, in order: equalization, saturation in place of clips, grids filled."""

from __future__ import annotations

from collections.abc import Sequence

from quantforge.graph import Graph
from quantforge.graph.execution import Executor, Feeds
from quantforge.passes.result import PassResult
from quantforge.quantization.clip_fitting import fit_clips
from quantforge.quantization.equalize import equalize
from quantforge.quantization.grid_fitting import fit_grids
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import Recipe


def scale_layers(
    graph: Graph, executor: Executor, samples: Sequence[Feeds], places: Places, recipe: Recipe
) -> PassResult:
    """What `recipe.equalize` and `recipe.finetune.fit_grids` make of `graph`."""
    found, before = PassResult(graph), graph
    if recipe.equalize is not None:
        found = equalize(graph, executor, samples, places, recipe.equalize)
    if not fits_grids(recipe) or not samples:
        return found
    clipped = fit_clips(before, found.graph, executor, samples, places)
    fitted = fit_grids(clipped.graph, executor, samples, places, recipe)
    changed = dict.fromkeys((*found.changed, *clipped.changed, *fitted.changed))
    return PassResult(fitted.graph, tuple(changed), (*found.notes, *clipped.notes, *fitted.notes))


def fits_grids(recipe: Recipe) -> bool:
    """Whether values are to fill their grids."""
    return recipe.finetune is not None and recipe.finetune.fit_grids

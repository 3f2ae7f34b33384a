"""Activation-range refinement: the range method of every tensor, chosen by the error at the network's outputs.

What: for each group of values that share a spec, the methods that give other specs than the recipe's are tried one
after another in the whole quantized network; the one with the least noise at the outputs stays,

    sum over outputs of ||y - y'||^2 / ||y||^2,

if it lowers the noise by `least_gain`, and on both halves of the samples. Groups come in the order of the network,
each on top of what was chosen before.
Why: no method is best for every tensor. The least error of the tensor itself (min-MSE) clips what later layers need
where few large values carry the answer, and keeps outliers that they ignore elsewhere.
Cost: one session and a few samples for each method that is tried; methods whose own error is more than `NEAR` times
the current one are not, and samples are few where tries are many.
When it hurts: it fits the samples it sees; the least gain keeps what is worth it.
Reference: Nagel et al., A White Paper on Neural Network Quantization, 2021, section 3.1 (ranges by the loss at the
output); the choice among methods by measured error is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quantforge.calibration.errors import expected_error
from quantforge.calibration.history import needs_history
from quantforge.calibration.methods import RangeMethod
from quantforge.calibration.runner import Calibration
from quantforge.calibration.segments import segments_of
from quantforge.graph import Graph, QuantSpec
from quantforge.graph.execution import Executor, Feeds
from quantforge.numerics.formats import IntFormat
from quantforge.passes.result import Note
from quantforge.quantization.places import Places, SpecGroup
from quantforge.quantization.recipe import Recipe, TensorRule
from quantforge.quantization.sensitivity import float_outputs, noise_by_batch
from quantforge.quantization.solve import ActivationSpec, group_spec

NAME = "refine-ranges"
NEAR = 2.0  # own error of a method worth a try, over that of the one in place
METHODS = (
    (RangeMethod.MIN_MAX, 100.0),
    (RangeMethod.MSE, 100.0),
    (RangeMethod.PERCENTILE, 99.99),
)
TRY_MACS = 40_000_000_000  # work that all tries together may cost
TRY_SAMPLES = range(4, 65)  # at least and at most


@dataclass(frozen=True)
class Try:
    """Another rule for a group, and the spec that it gives."""

    group: SpecGroup
    rule: TensorRule
    spec: QuantSpec


def refine(
    executor: Executor,
    base: Graph,
    quantized: Graph,
    places: Places,
    calibration: Calibration,
    recipe: Recipe,
    few: Callable[[int], Sequence[Feeds]],
) -> tuple[Places, tuple[Note, ...]]:
    """Choose the range methods of activations anew.

    Args:
        executor: Runs graphs.
        base: The float graph.
        quantized: The same with specs, by the rules of `places`.
        places: What shares a spec, and the rules.
        calibration: Statistics of the values.
        recipe: Says what a gain is worth.
        few: Samples for a number of runs.

    Returns:
        The places with the rules that were chosen, and a note for each that is another one.
    """
    if recipe.refine is None:
        return places, ()
    tries = {id(group): list(tries_of(quantized, group, calibration, recipe)) for group in places.groups}
    if not any(tries.values()):
        return places, ()
    batches = few(sum(map(len, tries.values())))
    wanted = float_outputs(executor, base, batches)
    least = noise_by_batch(executor, quantized, batches, wanted)
    groups, notes = [], []
    for group in places.groups:
        before, best = least, group
        for candidate in tries[id(group)]:
            tried = with_spec(quantized, group, candidate.spec)
            noise = noise_by_batch(executor, tried, batches, wanted)
            if _better(noise, least, recipe.refine.least_gain):
                least, best, chosen = noise, replace(group, rule=candidate.rule), tried
        if best is not group:
            quantized = chosen
            notes.append(_note(best, before.sum(), least.sum()))
        groups.append(best)
    return replace(places, groups=tuple(groups)), tuple(notes)


def tries_of(graph: Graph, group: SpecGroup, calibration: Calibration, recipe: Recipe) -> Iterator[Try]:
    """The methods that give `group` a spec other than the one that it has in `graph`, and are not far worse."""
    rule, now = group.rule, graph.value(group.values[0]).quant
    data = [graph.value(name).const for name in group.sources]
    if now is None or not isinstance(rule.format, IntFormat) or needs_history(rule):
        return
    if any(array is not None for array in data):
        return
    segments = segments_of(calibration.sketch(*group.sources))
    limit = NEAR * expected_error(segments, now).mse
    seen = {now.scale + now.zero_point}
    for method, percentile in METHODS:
        other = replace(rule, method=method, percentile=percentile)
        spec = group_spec(graph, replace(group, rule=other), recipe, _spec_of(calibration))
        if spec.scale + spec.zero_point not in seen and expected_error(segments, spec).mse <= limit:
            seen.add(spec.scale + spec.zero_point)
            yield Try(group, other, spec)


def _spec_of(calibration: Calibration) -> ActivationSpec:
    return lambda group, rule: calibration.spec(rule, *group.sources)


def with_spec(graph: Graph, group: SpecGroup, spec: QuantSpec) -> Graph:
    """A copy of `graph` with another spec for the values of `group`."""
    graph = graph.copy()
    for name in group.values:
        if graph.value(name).quant is not None:
            graph.set_value(replace(graph.value(name), quant=spec))
    return graph


def _better(noise: NDArray[np.float64], least: NDArray[np.float64], gain: float) -> bool:
    """Whether the sum is smaller by `gain`, and both halves of the batches agree that it is smaller."""
    halves = all(noise[i::2].sum() <= least[i::2].sum() for i in (0, 1))
    return halves and bool(noise.sum() < least.sum() * (1.0 - gain))


def _note(group: SpecGroup, before: float, after: float) -> Note:
    rule = group.rule
    words = f" {rule.percentile:g}" if rule.method is RangeMethod.PERCENTILE else ""
    text = f"range by {rule.method.value}{words}: noise at the outputs {before:.3g} -> {after:.3g}"
    return Note(NAME, group.values[0], True, text)

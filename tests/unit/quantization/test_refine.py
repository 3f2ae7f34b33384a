"""Other range methods are tried where they give other specs, and stay where the outputs gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.calibration.data import DataSource, open_data
from quantforge.calibration.methods import RangeMethod, Statistic
from quantforge.calibration.samples import InputInfo
from quantforge.graph.execution import Feeds
from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.flow import Quantized, quantize_graph
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN, Recipe, Refinement
from quantforge.quantization.refine import NAME, refine, tries_of, with_spec
from quantforge.quantization.sensitivity import float_outputs, output_noise
from tests.unit.quantization.judged_nets import FEATURES, classifier

ROWS = np.random.default_rng(2).normal(size=(64, FEATURES)).astype(np.float32)
ROWS[::5] *= 30.0  # few large samples: their range leaves the others few steps


def source() -> DataSource:
    return open_data(ROWS, [InputInfo("x", "float32", ("batch", FEATURES))], batch_size=8)


def quantized(recipe: Recipe) -> Quantized:
    return quantize_graph(classifier(), Interpreter(), source(), recipe)


def batches() -> list[Feeds]:
    return [{"x": np.array(feeds["x"])} for feeds in source()]


def noise(found: Quantized) -> float:
    wanted = float_outputs(Interpreter(), found.base, batches())
    return output_noise(Interpreter(), found.graph, batches(), wanted)


@pytest.mark.parametrize("percentile", [95.0, 98.0])
def test_a_bad_method_is_replaced(percentile: float) -> None:
    plain = replace(CPU_CNN, equalize=None, correct_bias=False)
    plain = replace(
        plain, activations=replace(plain.activations, method=RangeMethod.PERCENTILE, percentile=percentile)
    )
    before, after = quantized(plain), quantized(replace(plain, refine=Refinement()))
    assert noise(after) < noise(before)
    notes = [note for note in after.notes if note.made_by == NAME]
    changed = [new for old, new in zip(before.places.groups, after.places.groups, strict=True) if old != new]
    assert len(notes) == len(changed) > 0 and "noise at the outputs" in notes[0].text
    assert {note.op for note in notes} == {group.values[0] for group in changed}


def test_tries_are_other_specs_that_are_not_far_worse() -> None:
    found = quantized(replace(DPU_CNN, equalize=None))
    for group in found.places.groups:
        tries = list(tries_of(found.graph, group, found.calibration, DPU_CNN))
        specs = {candidate.spec.position for candidate in tries}
        assert len(specs) == len(tries) and found.graph.value(group.values[0]).quant.position not in specs  # type: ignore[union-attr]
        assert all(candidate.rule.format == group.rule.format for candidate in tries)


def test_statistics_over_batches_are_left_alone() -> None:
    recipe = replace(
        DPU_CNN, equalize=None, activations=replace(DPU_CNN.activations, statistic=Statistic.MOST_COMMON)
    )
    found = quantized(recipe)
    assert not any(
        list(tries_of(found.graph, group, found.calibration, recipe)) for group in found.places.groups
    )
    wanted = replace(recipe, refine=Refinement())
    places, notes = refine(
        Interpreter(),
        found.base,
        found.graph,
        found.places,
        found.calibration,
        wanted,
        lambda runs: batches(),
    )
    assert places is found.places and notes == ()


def test_a_gain_has_to_be_worth_it() -> None:
    plain = replace(CPU_CNN, equalize=None, correct_bias=False)
    plain = replace(plain, activations=replace(plain.activations, method=RangeMethod.MSE))
    assert quantized(replace(plain, refine=Refinement(least_gain=1.0))).places == quantized(plain).places


def test_all_values_of_a_group_change() -> None:
    found = quantized(replace(DPU_CNN, equalize=None))
    group = found.places.groups[1]
    spec = replace(found.graph.value(group.values[0]).quant, scale=(0.5,))  # type: ignore[type-var]
    graph = with_spec(found.graph, group, spec)  # type: ignore[arg-type]
    assert {graph.value(name).quant for name in group.values} == {spec}
    assert found.graph.value(group.values[0]).quant != spec

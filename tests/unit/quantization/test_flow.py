"""The whole flow on the interpreter: statistics kept and used again, refusals, and bounded memory of samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quantforge.calibration.data import DataSource, open_data
from quantforge.calibration.samples import InputInfo
from quantforge.diagnostics import CalibrationError, InputError
from quantforge.graph import Array, Graph
from quantforge.graph.execution import Feeds
from quantforge.ops.interpreter import Interpreter
from quantforge.progress import Progress
from quantforge.quantization.flow import (
    COMPARE_SAMPLES,
    affordable_samples,
    graph_hash,
    macs_of,
    quantize_graph,
    take_samples,
)
from quantforge.quantization.plan import plan_of
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN, NPU_TRANSFORMER, Override, Recipe
from tests.networks import Net

INPUTS = [InputInfo("x", "float32", ("batch", 3, 6, 6))]
DATA = np.random.default_rng(0).normal(size=(10, 3, 6, 6)).astype(np.float32)


def network(seed: int = 0) -> Graph:
    net = Net(seed=seed)
    y = net.add("relu", "r", (net.batchnorm("bn", net.conv("c1", "x", 4)),))
    return net.done(net.conv("c2", y, 2))


def source(data: Array = DATA) -> DataSource:
    return open_data(data, INPUTS, batch_size=4)


@pytest.mark.parametrize("recipe", [DPU_CNN, CPU_CNN, NPU_TRANSFORMER], ids=lambda recipe: recipe.name)
def test_each_recipe_gives_a_plan_that_measures_well(recipe: Recipe) -> None:
    found = quantize_graph(network(), Interpreter(), source(), recipe)
    last = set() if recipe.placement.inputs_only else {"c2.out"}
    assert {"x", "r.out", "c1.w", "c2.w"} | last <= set(plan_of(found.graph, recipe.name).tensors)
    assert found.measurement is not None and found.measurement.samples == 10
    assert found.measurement.accumulated["c2.out"].sqnr_db > 25.0
    assert (found.calibration.samples, found.calibration.batches) == (10, 3)
    assert not found.base.has_op("bn") and "bn" in {note.op for note in found.notes if note.done}


def test_the_same_input_gives_the_same_plan() -> None:
    plans = [
        plan_of(quantize_graph(network(), Interpreter(), source(), DPU_CNN).graph, "dpu-cnn").to_json()
        for _ in range(2)
    ]
    assert plans[0] == plans[1]


def test_saved_sketches_give_an_equal_plan_without_a_second_pass(tmp_path: Path) -> None:
    path = tmp_path / "sketches.npz"
    first, second = (
        quantize_graph(network(), Interpreter(), source(), DPU_CNN, sketches=path) for _ in range(2)
    )
    assert plan_of(first.graph, "") == plan_of(second.graph, "")
    stages = [[timing.stage for timing in found.timings] for found in (first, second)]
    assert "calibration" in stages[0] and "save sketches" in stages[0]
    assert "calibration" not in stages[1] and "load sketches" in stages[1]


def test_sketches_serve_another_recipe(tmp_path: Path) -> None:
    path = tmp_path / "sketches.npz"
    plain = replace(CPU_CNN, equalize=None)
    quantize_graph(network(), Interpreter(), source(), plain, sketches=path)
    finer = replace(plain, weights=replace(plain.weights, per_channel=True))
    reused = quantize_graph(network(), Interpreter(), source(), finer, sketches=path)
    fresh = quantize_graph(network(), Interpreter(), source(), finer)
    assert plan_of(reused.graph, "") == plan_of(fresh.graph, "")


def test_sketches_of_another_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "sketches.npz"
    plain = replace(CPU_CNN, equalize=None)  # which would make a model of its own for other data
    quantize_graph(network(), Interpreter(), source(), plain, sketches=path)
    with pytest.raises(InputError, match=r"Q0215 .*sketches of model"):
        quantize_graph(network(seed=1), Interpreter(), source(), plain, sketches=path)
    for other in (DATA[:8], DATA / 2):
        with pytest.raises(InputError, match=r"Q0215 .*sketches of data"):
            quantize_graph(network(), Interpreter(), source(other), plain, sketches=path)


def test_nothing_to_quantize_is_an_error_with_the_reasons() -> None:
    recipe = CPU_CNN.with_overrides((Override(op="*", keep_float=True),))
    with pytest.raises(
        InputError, match=r"Q0507 recipe cpu-cnn: found nothing to quantize \(c1: the recipe keeps"
    ):
        quantize_graph(network(), Interpreter(), source(), recipe)
    with pytest.raises(InputError, match=r"Q0507 .*the model has no operators"):
        quantize_graph(Net().done("x"), Interpreter(), source(), CPU_CNN)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (Override(op="c3", keep_float=True), "Q0508 override op = 'c3': found no match.* try: 'c"),
        (Override(tensor="r.ot", percentile=99.0), "Q0508 override tensor = 'r.ot'.* try: 'r.out'"),
        (Override(tensor="zz*", percentile=99.0), "Q0508 override tensor"),
    ],
)
def test_an_override_that_matches_nothing_is_an_error(override: Override, message: str) -> None:
    with pytest.raises(InputError, match=message):
        quantize_graph(network(), Interpreter(), source(), CPU_CNN.with_overrides((override,)))


@pytest.mark.parametrize("recipe", [DPU_CNN, CPU_CNN], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize(("bad", "code"), [(DATA[:0], "Q0201"), (np.full_like(DATA, np.nan), "Q0203")])
def test_data_without_numbers_is_refused_whatever_the_recipe(recipe: Recipe, bad: Array, code: str) -> None:
    with pytest.raises(CalibrationError, match=code):
        quantize_graph(network(), Interpreter(), source(bad), recipe)


def test_the_graph_given_is_not_changed() -> None:
    graph = network()
    before = graph_hash(graph)
    quantize_graph(graph, Interpreter(), source(), DPU_CNN)
    assert graph_hash(graph) == before and not list(graph.quantized())


def test_progress_counts_every_batch_once() -> None:
    seen: list[Progress] = []
    quantize_graph(network(), Interpreter(), source(), DPU_CNN, listener=seen.append)
    assert [(state.done, state.total) for state in seen] == [(1, 3), (2, 3), (3, 3)]


def endless() -> Iterator[Feeds]:
    buffer = np.zeros((4, 3), np.float32)  # a reader may use one buffer again and again
    while True:
        buffer += 1.0
        yield {"x": buffer}


def test_samples_are_taken_as_copies_and_no_more_than_needed() -> None:
    batches = endless()
    taken = take_samples(batches, 6)
    assert [float(feeds["x"][0, 0]) for feeds in taken] == [1.0, 2.0]
    assert float(next(batches)["x"][0, 0]) == 3.0
    assert take_samples(iter([]), 6) == [] and take_samples(endless(), 0) == []


def test_at_most_so_many_samples_are_measured() -> None:
    data = np.concatenate([DATA] * 20)
    found = quantize_graph(network(), Interpreter(), source(data), CPU_CNN)
    assert found.measurement is not None and found.measurement.samples == COMPARE_SAMPLES.stop - 1
    assert found.calibration.samples == 200


@pytest.mark.parametrize(("macs", "expected"), [(0, 8), (1, 8), (20, 5), (30, 3), (1000, 2)])
def test_samples_are_those_a_budget_pays_for(macs: int, expected: int) -> None:
    assert affordable_samples(100, macs, range(2, 9)) == expected


def test_work_is_counted_for_one_sample() -> None:
    graph = network()
    assert macs_of(graph, graph.op("c1")) == 36 * 4 * 27


def test_a_hash_sees_constants_attributes_and_wiring() -> None:
    graph = network()
    value = graph.value("c1.w")
    assert value.const is not None
    other = graph.copy()
    other.set_value(replace(value, const=value.const + np.float32(1e-3)))
    moved = graph.copy()
    moved.replace_op(replace(graph.op("c2"), attrs={**graph.op("c2").attrs, "group": 2}))
    assert len({graph_hash(g) for g in (graph, other, moved)}) == 3
    assert graph_hash(network()) == graph_hash(graph)


def test_work_of_an_unknown_shape_counts_nothing() -> None:
    net = Net()
    graph = net.done(net.conv("c", "x", 4))
    assert macs_of(graph, graph.op("c")) == 4 * 3 * 9 * 36
    graph.set_value(replace(graph.value("x"), shape=None))
    assert macs_of(graph, graph.op("c")) == 0

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quantforge.calibration.data import DataSource, open_data
from quantforge.calibration.samples import InputInfo
from quantforge.diagnostics import InputError
from quantforge.graph import Array, Graph
from quantforge.ops.interpreter import Interpreter
from quantforge.passes.result import Note
from quantforge.quantization.fine_tuning import NAME, FineTune, TuneMethod, TuneTask
from quantforge.quantization.flow import quantize_graph
from quantforge.quantization.recipe import DPU_CNN
from quantforge.quantization.recipe_file import parse_recipe, recipe_text
from tests.networks import Net

RECIPE = replace(DPU_CNN, finetune=FineTune(samples=6))


class Doubling:
    """Keeps what it is shown, and doubles a bias."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.seen: list[Array] = []
        self.task: TuneTask | None = None

    def keep(self, feeds: Mapping[str, Array]) -> bool:
        self.seen.append(np.array(feeds["x"]))
        return sum(map(len, self.seen)) < self.most

    def tune(self, reference: Graph, task: TuneTask) -> tuple[Graph, tuple[Note, ...]]:
        assert reference.has_value("c2.b")
        self.task, graph = task, task.quantized.copy()
        value = graph.value("c2.b")
        assert value.const is not None
        graph.set_value(replace(value, const=value.const * 2))
        return graph, (Note(NAME, "outputs", True, "doubled"),)


def network() -> Graph:
    net = Net()
    return net.done(net.conv("c2", net.add("relu", "r", (net.conv("c1", "x", 4),)), 2))


def source() -> DataSource:
    data = np.random.default_rng(0).normal(size=(12, 3, 6, 6)).astype(np.float32)
    return open_data(data, [InputInfo("x", "float32", ("batch", 3, 6, 6))], batch_size=4)


def test_the_tuner_sees_samples_and_its_graph_is_what_is_measured() -> None:
    tuner = Doubling(6)
    found = quantize_graph(network(), Interpreter(), source(), RECIPE, tuner=tuner)
    assert [len(rows) for rows in tuner.seen] == [4, 4]  # enough after two batches
    assert tuner.task is not None
    np.testing.assert_array_equal(
        found.graph.value("c2.b").const, 2 * np.asarray(tuner.task.quantized.value("c2.b").const)
    )
    assert "fine-tune" in [timing.stage for timing in found.timings]
    assert found.notes[-1].text == "doubled"
    plain = quantize_graph(network(), Interpreter(), source(), DPU_CNN).measurement
    assert plain is not None and found.measurement is not None
    assert found.measurement.accumulated["c2.out"].noise > 1.5 * plain.accumulated["c2.out"].noise


def test_samples_are_read_where_calibration_reads_none(tmp_path: Path) -> None:
    path = tmp_path / "sketches.npz"
    recipe = replace(RECIPE, finetune=FineTune(fit_grids=False))
    quantize_graph(network(), Interpreter(), source(), replace(recipe, finetune=None), sketches=path)
    tuner = Doubling(100)
    quantize_graph(network(), Interpreter(), source(), recipe, sketches=path, tuner=tuner)
    assert sum(map(len, tuner.seen)) == 12


def test_realigned_solves_biases_for_positions_that_have_moved() -> None:
    tuner = Doubling(6)
    quantize_graph(network(), Interpreter(), source(), RECIPE, tuner=tuner)
    assert tuner.task is not None
    graph = tuner.task.quantized.copy()
    x = graph.value("x")
    assert x.quant is not None
    graph.set_value(replace(x, quant=replace(x.quant, scale=(x.quant.scale[0] / 2**20,))))
    found = tuner.task.realigned(graph)
    weights, bias = found.value("c1.w").quant, found.value("c1.b").quant
    assert weights is not None and bias is not None and found.value("x").quant is not None
    shift = -np.log2(found.value("x").quant.scale[0] * weights.scale[0] / bias.scale[0])  # type: ignore[union-attr]
    assert 0 <= shift <= 15


def test_without_a_tuner_the_recipe_is_refused() -> None:
    with pytest.raises(InputError, match="Q0520"):
        quantize_graph(network(), Interpreter(), source(), RECIPE)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"epochs": -1}, {"weight_rate": float("nan")}])
def test_numbers_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="Q0521"):
        FineTune(**wrong)  # type: ignore[arg-type]


def test_in_recipe_files() -> None:
    recipe = parse_recipe('base = "dpu"\n[finetune]\nmethod = "adaround"\nsamples = 40\nweight_rate = 0')
    assert recipe.finetune == FineTune(TuneMethod.ADAROUND, 40, weight_rate=0.0)
    assert parse_recipe(recipe_text(recipe)) == recipe
    assert parse_recipe(recipe_text(recipe) + "\n").finetune is not None
    assert parse_recipe("finetune = false") == DPU_CNN
    assert recipe_text(DPU_CNN).count("finetune = false") == 1

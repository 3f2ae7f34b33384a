"""A layer alone carries its specs and no others, noises are those of the outputs, and the worst layer comes first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.assemble import layer_reports
from quantforge.quantization.flow import Quantized, quantize_graph
from quantforge.quantization.recipe import DPU_CNN, Override
from quantforge.quantization.sensitivity import (
    Layer,
    alone,
    float_outputs,
    layers_of,
    noise_by_batch,
    output_noise,
    ranking,
    to_confirm,
)
from tests.unit.quantization.judged_nets import DATA, classifier, source

ROWS = [(Layer(name, "conv2d", (name,), name), db) for name, db in (("a", 40.0), ("b", 20.0), ("c", 30.0))]


def quantized(**changes: object) -> Quantized:
    return quantize_graph(classifier(), Interpreter(), source(), replace(DPU_CNN, **changes))  # type: ignore[arg-type]


def found_layers(found: Quantized) -> dict[str, Layer]:
    reports = layer_reports(found.graph, found.places, found.measurement)
    return {layer.name: layer for layer, _ in layers_of(found.graph, reports)}


def test_layers_are_operators_with_what_is_fused_and_inputs() -> None:
    layers = found_layers(
        quantized(overrides=(Override(op="l2", keep_float=True), Override(op="l2.r", keep_float=True)))
    )
    assert [(layer.name, layer.ops, layer.result) for layer in layers.values()] == [
        ("x", (), "x"),
        ("l1", ("l1", "l1.r"), "l1.relu"),
        ("l3", ("l3",), "l3.out"),
    ]


def test_one_layer_alone() -> None:
    found = quantized()
    graph = alone(found.base, found.graph, found_layers(found)["l2"])
    assert {value.name for value in graph.quantized()} == {"l2.w", "l2.b", "l2.relu"}
    assert graph.value("l2.w").quant == found.graph.value("l2.w").quant
    assert np.array_equal(graph.value("l2.b").const, found.base.value("l2.b").const)  # type: ignore[arg-type]
    assert not list(found.base.quantized())
    assert {value.name for value in alone(found.base, found.graph, found_layers(found)["x"]).quantized()} == {
        "x"
    }


def test_noise_at_the_outputs() -> None:
    found, executor = quantized(), Interpreter()
    batches = [{"x": DATA[:8]}, {"x": DATA[8:]}]
    wanted = float_outputs(executor, found.base, batches)
    y = np.concatenate([rows["l3.out"] for rows in wanted]).astype(np.float64)
    z = np.array(executor.session(found.graph, ["l3.out"]).run({"x": DATA})["l3.out"])
    assert output_noise(executor, found.base, batches, wanted) == 0.0
    noise = output_noise(executor, found.graph, batches, wanted)
    assert noise == pytest.approx(((y - z) ** 2).sum() / (y**2).sum(), rel=1e-4) and noise > 0.0
    assert noise_by_batch(executor, found.graph, batches, wanted).sum() == noise


def test_those_that_add_most_are_confirmed_and_inputs_always() -> None:
    rows = [*ROWS, (Layer("x", "input", (), "x"), None)]
    assert [layer.name for layer in to_confirm(rows, 2)] == ["x", "b"]
    assert len(to_confirm(rows, None)) == 4


def test_the_worst_comes_first_and_what_did_not_run_is_estimated() -> None:
    rows = ranking(ROWS, {"b": 0.001, "a": 0.0002})
    assert [(row.layer.name, row.confirmed) for row in rows] == [("c", False), ("b", True), ("a", True)]
    gain = np.median([0.001 / 1e-2, 0.0002 / 1e-4])
    assert rows[0].output_db == pytest.approx(-10 * np.log10(gain * 1e-3))
    assert sum(row.share for row in rows) == pytest.approx(1.0)


def test_layers_that_lose_nothing() -> None:
    rows = ranking(ROWS, dict.fromkeys("abc", 0.0))
    assert [row.layer.name for row in rows] == ["a", "b", "c"] and rows[0].output_db == np.inf

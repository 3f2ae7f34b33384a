"""The report of a small network: every number against its own definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.calibration.data import open_data
from quantforge.calibration.samples import InputInfo
from quantforge.graph import Graph
from quantforge.graph.quantize import fake_quantize_value
from quantforge.ops.interpreter import Interpreter
from quantforge.quantization.assemble import assemble, output_reports
from quantforge.quantization.flow import Quantized, quantize_graph
from quantforge.quantization.measure import Measurement, Noise
from quantforge.quantization.recipe import CPU_CNN, Override, Recipe
from quantforge.quantization.report import FLOAT, QuantizationReport, TensorKind, Timing
from quantforge.quantization.top_class import Tally
from tests.networks import Net

RECIPE = replace(CPU_CNN, equalize=None).with_overrides((Override(op="c2", keep_float=True),))
DATA = np.random.default_rng(0).normal(size=(8, 3, 6, 6)).astype(np.float32)


def network() -> Graph:
    net = Net()
    y = net.add("relu", "r", (net.conv("c1", "x", 4),))
    return net.done(net.conv("c3", net.conv("c2", y, 2), 2))


def quantized(recipe: Recipe = RECIPE) -> Quantized:
    source = open_data(DATA, [InputInfo("x", "float32", ("batch", 3, 6, 6))], batch_size=4)
    return quantize_graph(network(), Interpreter(), source, recipe)


@pytest.fixture(scope="module")
def found() -> Quantized:
    return quantized()


@pytest.fixture(scope="module")
def report(found: Quantized) -> QuantizationReport:
    timings = (Timing("import", 1.0),)
    return assemble(found, RECIPE, model="m", source="rows", tool_version="0", timings=timings)


def test_head_data_and_sizes(report: QuantizationReport, found: Quantized) -> None:
    assert (report.model, report.recipe, report.model_hash) == ("m", "cpu-cnn", found.model_hash)
    assert (report.data.source, report.data.samples, report.data.batches) == ("rows", 8, 2)
    floats = sum(v.const.nbytes for v in network().values if v.const is not None)
    c2 = 4 * (2 * 4 * 9 + 2)
    assert report.model_bytes[0] == floats
    assert report.model_bytes[1] == (4 * 3 * 9 + 2 * 2 * 9) + 4 * (4 + 2) + c2


def test_activations_come_first_then_weights_and_biases(report: QuantizationReport) -> None:
    kinds = [tensor.kind for tensor in report.tensors]
    assert kinds == sorted(kinds, key=[TensorKind.ACTIVATION, TensorKind.WEIGHT, TensorKind.BIAS].index)
    weights = report.tensor("c1.w")
    assert weights is not None and weights.producer == "c1" and weights.histogram is not None
    assert weights.histogram.total == 4 * 3 * 9
    ranges = np.abs(network().value("c1.w").const).max(axis=(1, 2, 3))  # type: ignore[arg-type]
    assert weights.channel_spread == pytest.approx(ranges.max() / np.median(ranges))


def test_the_extremes_of_an_activation_are_exact(report: QuantizationReport) -> None:
    tensor = report.tensor("x")
    assert tensor is not None and (tensor.lo, tensor.hi) == (DATA.min(), DATA.max())
    assert tensor.producer is None and tensor.method == "mse"


def test_a_weight_per_channel_has_its_exact_error() -> None:
    recipe = replace(RECIPE, weights=replace(RECIPE.weights, per_channel=True))
    found = quantized(recipe)
    tensor = assemble(found, recipe, model="m", source="s", tool_version="0").tensor("c1.w")
    data, spec = found.graph.value("c1.w").const, found.graph.value("c1.w").quant
    assert tensor is not None and data is not None and spec is not None
    assert tensor.sqnr_db == Noise().plus(data, fake_quantize_value(data, spec)).sqnr_db


def test_layers_hold_their_fused_activations_and_say_why_they_are_float(
    report: QuantizationReport, found: Quantized
) -> None:
    layers = {layer.name: layer for layer in report.layers}
    assert list(layers) == ["c1", "c2", "c3"]
    assert (layers["c1"].fused, layers["c1"].precision) == (("relu",), "uint8")
    assert (layers["c2"].precision, layers["c2"].float_code) == (FLOAT, "Q0503")
    assert layers["c2"].reads == ("c1",)
    assert layers["c1"].macs == 36 * 4 * 3 * 9
    assert (layers["c1"].float_bytes, layers["c1"].quantized_bytes) == (4 * (108 + 4), 108 + 4 * 4)
    assert found.measurement is not None
    assert layers["c1"].added_db == found.measurement.added["r.out"].sqnr_db
    assert layers["c3"].accumulated_db == found.measurement.accumulated["c3.out"].sqnr_db


def test_outputs_have_agreement_where_answers_were_counted() -> None:
    graph = network()
    measurement = Measurement({}, {"c3.out": Noise(100.0, 1.0)}, 4, {"c3.out": Tally(4, 3)})
    (output,) = output_reports(graph, measurement)
    assert (output.name, output.sqnr_db, output.samples, output.agreement) == ("c3.out", 20.0, 4, 0.75)
    (output,) = output_reports(graph, None)
    assert (output.sqnr_db, output.samples, output.agreement) == (None, 0, None)


def test_a_constant_activation_is_remarked() -> None:
    source = open_data(np.zeros_like(DATA), [InputInfo("x", "float32", ("batch", 3, 6, 6))], batch_size=4)
    found = quantize_graph(network(), Interpreter(), source, RECIPE)
    report = assemble(found, RECIPE, model="m", source="s", tool_version="0")
    tensor = report.tensor("x")
    assert tensor is not None and tensor.notes == ("all zeros",)
    assert "Q0204" in {notice.code for notice in report.notices}

"""Measured noise against a brute-force computation with the interpreter and single fake-quantizations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from quantforge.graph import Array, Graph, QuantSpec
from quantforge.numerics.formats import INT8
from quantforge.ops.interpreter import Interpreter
from quantforge.passes.dpu_hard_sigmoid import split_hard_swishes
from quantforge.quantization.measure import (
    Noise,
    add_energies,
    comparison_graph,
    energies_reference,
    measure,
)
from tests.networks import Net

FEEDS = [{"x": np.random.default_rng(i).normal(size=(2, 3, 6, 6)).astype(np.float32)} for i in range(3)]
SPECS = {"x": 5, "r.out": 3, "c2.out": 2, "c1.w": 5, "c2.w": 4, "c1.b": 5, "p.out": 3}


def network() -> tuple[Graph, Graph]:
    """conv, relu (fused), max pool (moves only), conv; and the same with specs."""
    net = Net()
    hidden = net.add("relu", "r", (net.conv("c1", "x", 4),))
    base = net.done(net.conv("c2", net.add("identity", "p", (hidden,)), 2, bias=False))
    quantized = base.copy()
    for name, position in SPECS.items():
        spec = QuantSpec.power_of_two(INT8, position)
        quantized.set_value(replace(quantized.value(name), quant=spec))
    return base, quantized


def run(graph: Graph, feeds: dict[str, Array], *names: str) -> list[Array]:
    found = Interpreter().session(graph, names).run(feeds)
    return [np.array(found[name]) for name in names]


@pytest.mark.parametrize("size", [0, 1, 7, 1000])
def test_the_kernel_equals_its_twin(size: int) -> None:
    x, y = np.random.default_rng(size).standard_normal((2, size)).astype(np.float32)
    sums = np.array([1.0, 2.0])
    add_energies(x, y, sums)
    np.testing.assert_allclose(sums, np.array([1.0, 2.0]) + energies_reference(x, y), rtol=1e-12)


def test_the_noise_a_layer_adds_is_that_of_its_rounding_alone() -> None:
    base, quantized = network()
    found = measure(Interpreter(), base, quantized, FEEDS)
    expected = Noise()
    for feeds in FEEDS:
        (y,) = run(base, feeds, "r.out")
        alone = base.copy()  # conv1 + relu with all of their own specs; "x" is the float input
        for name in ("x", "c1.w", "c1.b", "r.out"):
            alone.set_value(quantized.value(name))
        expected = expected.plus(y, run(alone, feeds, "r.out")[0])
    assert found.added["r.out"] == expected


def test_the_second_layer_reads_the_float_network() -> None:
    base, quantized = network()
    found = measure(Interpreter(), base, quantized, FEEDS)
    expected = Noise()
    for feeds in FEEDS:
        (y,) = run(base, feeds, "c2.out")
        alone = base.copy()  # what comes before p.out stays float
        for name in ("p.out", "c2.w", "c2.out"):
            alone.set_value(quantized.value(name))
        expected = expected.plus(y, run(alone, feeds, "c2.out")[0])
    assert found.added["c2.out"] == expected
    assert found.accumulated["c2.out"].noise != expected.noise


def test_accumulated_noise_is_that_of_the_whole_quantized_network() -> None:
    base, quantized = network()
    found = measure(Interpreter(), base, quantized, FEEDS)
    for name in ("r.out", "p.out", "c2.out"):
        expected = Noise()
        for feeds in FEEDS:
            expected = expected.plus(run(base, feeds, name)[0], run(quantized, feeds, name)[0])
        assert found.accumulated[name] == expected
    assert found.samples == 6


def test_operators_that_only_move_data_add_nothing_of_their_own() -> None:
    base, quantized = network()
    graph, own, all_ = comparison_graph(base, quantized)
    assert set(own) == {"r.out", "c2.out"}
    assert set(all_) == {"r.out", "p.out", "c2.out"}
    assert graph.value("r.out").quant is None and graph.value("r.out@all").quant is not None


def test_corrected_constants_are_those_of_the_quantized_network() -> None:
    base, quantized = network()
    bias = quantized.value("c1.b")
    assert bias.const is not None
    quantized.set_value(replace(bias, const=bias.const + np.float32(1.0)))
    before, after = (measure(Interpreter(), base, graph, FEEDS) for graph in (network()[1], quantized))
    assert after.added["r.out"].noise > 10.0 * before.added["r.out"].noise


def test_agreement_is_counted_for_outputs_that_look_like_class_scores() -> None:
    net = Net(seed=3)
    flat = net.add("flatten", "f", (net.conv("c", "x", 2),), axis=1)
    net.graph.set_value(replace(net.graph.value(flat), shape=("batch", 72)))
    base = net.done(flat)
    coarse = base.copy()
    for name in ("c.out", "f.out"):
        coarse.set_value(replace(coarse.value(name), quant=QuantSpec.power_of_two(INT8, -4)))
    found = measure(Interpreter(), base, coarse, FEEDS)
    tops = [[run(graph, feeds, "f.out")[0].argmax(axis=1) for graph in (base, coarse)] for feeds in FEEDS]
    same = sum(int((a == b).sum()) for a, b in tops)
    assert (found.answers["f.out"].same, found.answers["f.out"].samples) == (same, 6)
    assert 0 < same < 6, "a coarse grid changes some answers and not all"
    assert measure(Interpreter(), *network(), FEEDS).answers == {}


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (Noise(1.0, 0.0), math.inf),
        (Noise(0.0, 1.0), -math.inf),
        (Noise(1000.0, 1.0), 30.0),
        (Noise(1.0, math.inf), -math.inf),
    ],
)
def test_decibels(noise: Noise, expected: float) -> None:
    assert noise.sqnr_db == expected


def test_what_hardware_puts_in_between_has_no_float_twin() -> None:
    net = Net()
    graph = net.done(net.add("hard-swish", "h", ("x",)))
    stored = graph.copy()
    for name in ("x", "h.out"):
        stored.set_value(replace(graph.value(name), quant=QuantSpec.power_of_two(INT8, 5)))
    quantized = split_hard_swishes(stored).graph
    batches = [{"x": np.random.default_rng(0).normal(size=(1, 3, 6, 6)).astype(np.float32)}]
    found = measure(Interpreter(), graph, quantized, batches)
    assert set(found.added) == {"h.out"} and found.added["h.out"].sqnr_db > 20
    assert found.accumulated["h.out"].sqnr_db > 20

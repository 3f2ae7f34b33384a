"""Bodies of If, Loop and Scan, quantized and run in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest

from quantforge.calibration.data import open_data
from quantforge.frontends.onnx import OnnxExecutor, import_model, input_infos, to_proto
from quantforge.frontends.onnx.bodies import RUNS, quantize_bodies
from quantforge.graph import Graph
from quantforge.graph.execution import Feeds
from quantforge.graph.verify import verify
from quantforge.numerics.formats import INT16
from quantforge.quantization.flow import quantize_graph
from quantforge.quantization.recipe import CPU_CNN, TensorRule

from .bodied_models import with_branches, with_loop, with_scan
from .text_models import random, run

EXECUTOR = OnnxExecutor(threads=1)


def quantize(body: Graph, feeds: Sequence[Feeds]) -> Graph:
    return quantize_graph(body, EXECUTOR, open_data(list(feeds), input_infos(body)), CPU_CNN).graph


def quantized(proto: Any, batches: Sequence[Feeds]) -> tuple[Any, list[str]]:
    """The model with quantized bodies, and the notes."""
    graph, notes = quantize_bodies(import_model(proto), batches, quantize, EXECUTOR)
    verify(graph)
    made = to_proto(graph)
    onnx.checker.check_model(made, full_check=True)
    return made, [str(note) for note in notes]


def inner(proto: Any) -> list[list[str]]:
    """Operator types of every body."""
    return [
        [n.op_type for n in a.g.node] for node in proto.graph.node for a in node.attribute if a.HasField("g")
    ]


def decibels(float_model: Any, made: Any, x: Any) -> float:
    want, got = run(float_model, {"x": x})[0], run(made, {"x": x})[0]
    return float(10 * np.log10((want**2).sum() / ((want - got) ** 2).sum()))


def test_both_branches() -> None:
    proto = with_branches()
    batches = [{"x": random(1, 3, 8, 8, seed=i) + np.float32(0.5 * (-1) ** i)} for i in range(8)]
    made, notes = quantized(proto, batches)
    assert sorted(notes) == [
        "quantize-bodies: if: else_branch quantized, from 4 runs",
        "quantize-bodies: if: then_branch quantized, from 4 runs",
    ]
    assert all(types.count("QuantizeLinear") == 2 for types in inner(made))
    assert all(types.count("DequantizeLinear") >= 3 for types in inner(made)), "weights too"
    names = {tensor.name for tensor in made.graph.initializer}
    assert "w_then" not in names, "the weights are inside now"
    for shift in (0.5, -0.5):
        x = random(1, 3, 8, 8, seed=50) + np.float32(shift)
        assert decibels(proto, made, x) > 30


@pytest.mark.parametrize("backward", [0, 1])
def test_a_scan(backward: int) -> None:
    proto = with_scan(backward)
    made, notes = quantized(proto, [{"x": random(5, 2, 4, seed=i)} for i in range(4)])
    assert notes == ["quantize-bodies: scan: body quantized, from 20 runs"]
    assert "QuantizeLinear" in inner(made)[0]
    assert decibels(proto, made, random(5, 2, 4, seed=50)) > 25


def test_a_loop() -> None:
    proto = with_loop()
    made, notes = quantized(proto, [{"x": random(2, 4, seed=i)} for i in range(40)])
    assert notes == [f"quantize-bodies: loop: body quantized, from {RUNS} runs"], "no more than these"
    assert "DequantizeLinear" in inner(made)[0]
    assert decibels(proto, made, random(2, 4, seed=50)) > 25


def test_what_stays_in_float_is_noted() -> None:
    proto = with_branches()
    made, notes = quantized(proto, [{"x": random(1, 3, 8, 8) + 1}])
    assert "quantize-bodies: if: not done: else_branch: no data reached it" in notes
    assert sorted("QuantizeLinear" in types for types in inner(made)) == [False, True]
    assert run(made, {"x": random(1, 3, 8, 8) - 1})[0].shape == (1, 4, 8, 8)

    def wide(body: Graph, feeds: Sequence[Feeds]) -> Graph:
        recipe = CPU_CNN.__class__("wide", activations=TensorRule(INT16))
        return quantize_graph(body, EXECUTOR, open_data(list(feeds), input_infos(body)), recipe).graph

    _, more = quantize_bodies(import_model(proto), [{"x": random(1, 3, 8, 8) + 1}], wide, EXECUTOR)
    assert "then_branch: it needs opset 21, and the model has 13" in "".join(map(str, more))


def test_a_model_without_bodies_is_as_it_was() -> None:
    graph = import_model(to_proto(quantize_bodies(import_model(with_loop()), [], quantize, EXECUTOR)[0]))
    assert [op.name for op in graph.ops] == ["loop", "out"]

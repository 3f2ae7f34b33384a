"""The reference interpreter on real models: float equal to ONNX Runtime, integers equal to fake-quantized floats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quantforge.frontends.onnx.import_ import import_model
from quantforge.frontends.onnx.run import OnnxExecutor
from quantforge.graph import Array, Graph, QuantSpec
from quantforge.graph.text import large_constants, parse_graph, print_graph
from quantforge.graph.verify import problems
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.ops.infer import infer_shapes
from quantforge.ops.interpreter import Interpreter
from quantforge.ops.registry import KINDS, spec

DATA = Path(__file__).parents[3] / "shared" / "data" / "models"
MODELS = ("resnet20_cifar10", "mobilenetv2_cifar10", "ultraface_rfb_320", "fastestdet")
FUSED = ("relu", "relu6", "clip", "leaky-relu")

pytestmark = pytest.mark.models


@pytest.fixture(params=MODELS)
def graph(request: pytest.FixtureRequest) -> Graph:
    path = DATA / f"{request.param}.onnx"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return import_model(str(path))


def feeds_for(graph: Graph) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    shapes = {name: graph.value(name).shape or () for name in graph.inputs}
    sizes = {name: [d if isinstance(d, int) else 1 for d in shape] for name, shape in shapes.items()}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in sizes.items()}


def with_positions(graph: Graph, values: Mapping[str, Array]) -> Graph:
    """Every value int8 with the finest position that holds it; fused activations leave their input open."""
    graph = graph.copy()
    inner = {op.inputs[0] for op in graph.ops if op.kind in FUSED and len(graph.consumers(op.inputs[0])) == 1}
    for value in graph.values:
        data = value.const if value.is_const else values.get(value.name)
        weighted = any(spec(op.kind).traits.role == "weighted" for op in graph.consumers(value.name))
        if (
            value.dtype != "float32"
            or value.name in inner
            or data is None
            or (value.is_const and not weighted)
        ):
            continue
        largest = float(np.abs(data).max(initial=0.0))
        position = int(np.floor(np.log2(127 / largest))) if largest > 0 else 0
        graph.set_value(replace(value, quant=QuantSpec.power_of_two(INT8, position, Rounding.HALF_UP)))
    return graph


def test_imported_graphs_are_well_formed_and_survive_their_text(graph: Graph) -> None:
    assert problems(graph, KINDS) == ()
    text = print_graph(graph)
    assert print_graph(parse_graph(text, large_constants(graph))) == text


def test_inferred_shapes_agree_with_recorded_ones(graph: Graph) -> None:
    inferred = infer_shapes(graph)
    for value in graph.values:
        assert inferred.value(value.name).dtype == value.dtype
        for new, old in zip(inferred.value(value.name).shape or (), value.shape or (), strict=True):
            assert new == old or not isinstance(old, int), value.name


def test_float_values_equal_onnx_runtime_and_integers_equal_floats(graph: Graph) -> None:
    feeds = feeds_for(graph)
    names = [value.name for value in graph.values if not value.is_const and value.dtype == "float32"]
    expected = OnnxExecutor().session(graph, names).run(feeds)
    actual = Interpreter().session(graph, names).run(feeds)
    for name in names:
        bound = 1e-5 * max(1e-3, float(np.abs(expected[name]).max()))  # float32 sums in another order
        np.testing.assert_allclose(actual[name], expected[name], rtol=0, atol=bound, err_msg=name)
    quantized = with_positions(graph, expected)
    real = Interpreter("float").session(quantized, graph.outputs).run(feeds)
    exact = Interpreter("integer").session(quantized, graph.outputs).run(feeds)
    for name in graph.outputs:
        assert np.array_equal(real[name], exact[name]), name

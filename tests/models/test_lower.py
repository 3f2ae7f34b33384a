"""Real models in XIR: in float the values of ONNX Runtime, quantized the integers of the graph, exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantforge.compiler.lower import lower
from quantforge.compiler.lowering.concrete import concrete
from quantforge.frontends.onnx import OnnxExecutor, absorb, import_model, single_node
from quantforge.frontends.quantize import quantize
from quantforge.graph import Array, Graph
from quantforge.ops.interpreter import Interpreter
from quantforge.xmodel.model import XModel
from quantforge.xmodel.write import to_bytes
from tests import xir_float

DATA = Path(__file__).parents[3] / "shared" / "data" / "models"
MODELS = ("resnet20_cifar10", "mobilenetv2_cifar10", "ultraface_rfb_320", "fastestdet")

pytestmark = pytest.mark.models


@pytest.fixture(params=MODELS)
def graph(request: pytest.FixtureRequest) -> Graph:
    path = DATA / f"{request.param}.onnx"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return concrete(import_model(str(path)))


def feeds_for(graph: Graph, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(graph.value(name).shape).astype(np.float32) for name in graph.inputs}


def values_of(model: XModel, graph: Graph, feeds: dict[str, Array]) -> dict[str, Array]:
    found = xir_float.run(model, xir_float.in_xir_order(model, feeds))
    return xir_float.values(model, found, {value.name: tuple(value.shape or ()) for value in graph.values})


def test_float_values_are_those_of_onnx_runtime(graph: Graph) -> None:
    model, feeds = lower(graph, node_of=single_node), feeds_for(graph)
    to_bytes(model)
    assert "transpose" not in {op.kind for op in model.ops.values()}
    actual = values_of(model, graph, feeds)
    names = [value.name for value in graph.values if not value.is_const]
    assert set(names) == set(actual)
    expected = OnnxExecutor().session(graph, names).run(feeds)
    for name in names:
        bound = 1e-5 * max(1e-3, float(np.abs(expected[name]).max()))
        np.testing.assert_allclose(actual[name], expected[name], rtol=0, atol=bound, err_msg=name)


def test_a_quantized_onnx_model_keeps_its_integers(graph: Graph) -> None:
    samples = [feeds_for(graph, seed) for seed in (1, 2)]
    found = quantize(graph, samples, recipe="dpu-cnn")
    back = concrete(absorb(import_model(found.model)))
    assert {v.name: v.quant for v in back.quantized()} == {v.name: v.quant for v in found.graph.quantized()}
    model = lower(back)
    to_bytes(model)
    names = [value.name for value in back.quantized() if not value.is_const]
    expected = Interpreter("integer").session(back, names).run(samples[0])
    actual = values_of(model, back, samples[0])
    for name in names:
        assert np.array_equal(actual[name], expected[name]), name

"""float16 and bfloat16 in ONNX against the numerics, bit for bit, in ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from quantforge.frontends.onnx import import_model, to_proto
from quantforge.frontends.onnx.cast_form import cast_constant, cast_nodes
from quantforge.graph import Array, QuantSpec
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import BFLOAT16, FLOAT16, FloatFormat

from .text_models import model, random, run

EDGES = [
    *(0.0, -0.0, 1.00390625, 1.01171875, -1.00390625, 65504.0, 65519.0, 65520.0, 1e6, 3.3895314e38, 3.4e38),
    *(-3.4e38, np.inf, -np.inf, 1e-8, 6e-8, 1e-40, 2.0**-133),
]
X = np.concatenate([random(2000) * 4, random(500) * 1e5, np.array(EDGES, np.float32)]).astype(np.float32)


@pytest.mark.parametrize("form", [BFLOAT16, FLOAT16], ids=str)
def test_onnx_runtime_computes_exactly_the_type(form: FloatFormat) -> None:
    constants = random(64) * 3
    graph = import_model(model("g (float[N, 1] x) => (y) { y = Mul(x, k) }", k=constants))
    for name in ("x", "k"):
        graph.set_value(replace(graph.value(name), quant=QuantSpec(form)))
    proto = to_proto(graph)
    onnx.checker.check_model(proto, full_check=True)
    assert [node.op_type for node in proto.graph.node] == ["Clip", "Cast", "Cast", "Cast", "Mul"]
    data = X[np.isfinite(X) & (np.abs(X) < 1e30)].reshape(-1, 1)
    want = fake_quantize_value(data, QuantSpec(form)) * fake_quantize_value(constants, QuantSpec(form))
    found = run(proto, {"x": data})[0]
    np.testing.assert_array_equal(found, want)
    (stored,) = (i for i in proto.graph.initializer if i.name == "k_quantized")
    assert stored.data_type == (onnx.TensorProto.BFLOAT16 if form == BFLOAT16 else onnx.TensorProto.FLOAT16)


@pytest.mark.parametrize("form", [BFLOAT16, FLOAT16], ids=str)
def test_every_edge_of_the_type(form: FloatFormat) -> None:
    graph = import_model(model("g (float[N] x) => (y) { y = Neg(x) }"))
    graph.set_value(replace(graph.value("x"), quant=QuantSpec(form)))
    found = -run(to_proto(graph), {"x": X})[0]
    np.testing.assert_array_equal(found, fake_quantize_value(X, QuantSpec(form)))


def test_nodes_are_called_after_their_tensor() -> None:
    held: dict[str, Array] = {}

    def constant(name: str, array: Array) -> str:
        held[name] = array
        return name

    nodes = cast_nodes("t", "t_made", "t_read", BFLOAT16, constant)
    assert [node.name for node in nodes] == ["t_Clip", "t_Cast", "t_CastBack"]
    assert (
        nodes[0].input[0] == "t_made" and nodes[-1].output[0] == "t_read" and set(held) == {"t_min", "t_max"}
    )
    spec = QuantSpec(FLOAT16)
    (back,) = cast_constant("w", "w_quantized", "w_read", np.ones(2, np.float32), spec, constant)
    assert (back.name, list(back.output)) == ("w_CastBack", ["w_read"])
    assert held["w_quantized"].dtype == np.float16

"""BFPFixNeuron: the function against the numerics, bit for bit; where it stands, and what it is called."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import import_model, to_proto
from quantforge.frontends.onnx.bfp_nodes import BfpAttributes, bfp_functions, with_bfp_nodes
from quantforge.numerics.block_float import round_blocks

from .text_models import model, random, run

X = np.concatenate([random(2, 20, 3) * 4, random(2, 20, 3) * 1e-4, random(1, 20, 3) * 1e8]).astype(np.float32)
FORMATS = [
    BfpAttributes(),
    BfpAttributes(bit_width=13, block_size=8),
    BfpAttributes("to_bfp_prime_shared", 16),
    BfpAttributes("to_bfp_prime_shared", 13, 32, 0, 4, 2),
]


@pytest.mark.parametrize("attributes", FORMATS, ids=lambda attributes: str(attributes.format))
def test_blocks_along_the_channels(attributes: BfpAttributes) -> None:
    graph = import_model(model("g (float[N, 20, 3] x) => (y) { y = Neg (x) }"))
    proto = to_proto(with_bfp_nodes(graph, ["x"], attributes))
    onnx.checker.check_model(proto, full_check=True)
    assert [node.op_type for node in proto.graph.node] == ["BFPFixNeuron", "Neg"]
    np.testing.assert_array_equal(-run(proto, {"x": X})[0], round_blocks(X, attributes.format, 1))


def test_names_constants_and_outputs() -> None:
    graph = import_model(
        model("g (float[N, 20, 3] x) => (y) { h = Mul (x, k) y = Add (h, b) }", k=X[:1], b=random(3))
    )
    made = with_bfp_nodes(graph, ["x", "k", "b", "h", "y"], BfpAttributes())
    names = {op.name: (op.inputs, op.outputs) for op in made.ops if op.kind == "fake-quantize"}
    assert names == {
        "x_DequantizeLinear": (("x",), ("x_DequantizeLinear_Output",)),
        "k_DequantizeLinear": (("k",), ("k_DequantizeLinear_Output",)),
        "h_DequantizeLinear": (("h",), ("h_DequantizeLinear_Output",)),
        "y_DequantizeLinear": (("y_QuantizeLinear_Input",), ("y",)),
    }, "a bias has no axis 1"
    form = BfpAttributes().format
    product = round_blocks(round_blocks(X, form, 1) * round_blocks(X[:1], form, 1), form, 1)
    want = round_blocks(product + np.asarray(graph.value("b").const), form, 1)
    np.testing.assert_array_equal(run(to_proto(made), {"x": X})[0], want)


def test_one_model_has_one_format() -> None:
    nodes = [
        onnx.helper.make_node("BFPFixNeuron", ["x"], ["y"], domain="com.vai.quantize", bit_width=width)
        for width in (13, 15)
    ]
    with pytest.raises(InputError, match="Q0612 operators BFPFixNeuron: found 2 formats"):
        bfp_functions(nodes, 18)
    assert [function.name for function in bfp_functions(nodes[:1], 18)] == ["BFPFixNeuron"]

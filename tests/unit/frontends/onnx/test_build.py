"""Graph to nodes: what is copied, what is lowered, and where Q/DQ go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import import_model, to_proto
from quantforge.frontends.onnx.build import build
from quantforge.graph import Graph, Op, QuantSpec, Value
from quantforge.numerics.formats import INT8, INT32

from .text_models import model, random, round_trip, run

TEXT = """g (float[N,3,4,4] x) => (y, z) <int64[2] k = {0, -1}> {
  c = Conv(x, w, b)
  r = Relu(c)
  z = Sigmoid(r)
  f = Reshape(r, k)
  y = Mul(f, f)
}"""
FEEDS = {"x": random(2, 3, 4, 4)}


def quantized() -> Graph:
    """Input, activation, outputs, per-axis weights and int32 bias carry specs; c and z do not."""
    graph = import_model(model(TEXT, w=random(2, 3, 1, 1), b=random(2)))
    specs = {
        "x": QuantSpec(INT8, (0.03125,)),
        "w": QuantSpec(INT8, (0.015625, 0.0078125), (0, 0), 0),
        "b": QuantSpec(INT32, (0.00048828125, 0.000244140625), (0, 0), 0),
        "r": QuantSpec(INT8, (0.0625,)),
        "f": QuantSpec(INT8, (0.0625,)),
        "y": QuantSpec(INT8, (0.125,)),
    }
    for name, spec in specs.items():
        graph.set_value(replace(graph.value(name), quant=spec))
    return graph


def test_placement_is_as_reviewed(golden: Callable[[str, str], None]) -> None:
    proto = to_proto(quantized(), recipe="golden")
    onnx.checker.check_model(proto, full_check=True)
    del proto.metadata_props[:], proto.graph.value_info[:]
    for node in proto.graph.node:
        node.ClearField("doc_string")
    rows = [f"{n.name}: {n.op_type}({', '.join(n.input)}) -> {', '.join(n.output)}" for n in proto.graph.node]
    tensors = [
        f"{t.name}: {onnx.TensorProto.DataType.Name(t.data_type)}{list(t.dims)}"
        for t in proto.graph.initializer
    ]
    golden("onnx_qdq_placement.txt", "\n".join([*rows, "", *sorted(tensors)]) + "\n")


def test_it_runs_as_the_specs_say() -> None:
    graph = quantized()
    outputs = run(to_proto(graph), FEEDS)
    grid = outputs[0] / np.float32(0.125)
    np.testing.assert_array_equal(grid, np.round(grid))


def test_every_made_node_says_what_made_it() -> None:
    made = {n.name: n.doc_string for n in to_proto(quantized()).graph.node}
    assert made["x_QuantizeLinear"] == "quantforge: made_by=quantize, tensor=x, format=int8"
    assert made["Relu_1"] == ""
    graph = quantized()
    graph.replace_op(graph.op("Relu_1").changed("make-clip", kind="clip", attrs={"min": 0.0}))
    notes = {n.name: n.doc_string for n in to_proto(graph).graph.node}
    assert notes["Relu_1"] == "quantforge: made_by=make-clip"


def test_newer_files_use_node_metadata() -> None:
    proto = model(TEXT, opset=21, ir_version=10, w=random(2, 3, 1, 1), b=random(2))
    graph = import_model(proto)
    graph.set_value(replace(graph.value("x"), quant=QuantSpec(INT8, (0.5,))))
    made = to_proto(graph)
    onnx.checker.check_model(made, full_check=True)
    notes = {n.name: {e.key: e.value for e in n.metadata_props} for n in made.graph.node}
    want = {"quantforge.made_by": "quantize", "quantforge.tensor": "x", "quantforge.format": "int8"}
    assert notes["x_DequantizeLinear"] == want
    assert run(made, FEEDS)[0].shape == (2, 32)


def test_model_properties_survive() -> None:
    proto = model(TEXT, w=random(2, 3, 1, 1), b=random(2))
    proto.producer_name, proto.producer_version, proto.doc_string = "pytorch", "2.4", "a model"
    entry = proto.metadata_props.add()
    entry.key, entry.value = "author", "someone"
    made = to_proto(import_model(proto), recipe="dpu")
    assert (made.producer_name, made.doc_string, made.ir_version) == ("pytorch", "a model", 8)
    notes = {e.key: e.value for e in made.metadata_props}
    assert (
        notes["author"] == "someone" and notes["quantforge.recipe"] == "dpu" and notes["quantforge.version"]
    )
    assert made.graph.input == proto.graph.input


def test_static_parameters_keep_their_names() -> None:
    made = to_proto(import_model(model(TEXT, w=random(2, 3, 1, 1), b=random(2))))
    assert {t.name for t in made.graph.initializer} == {"w", "b", "k"}
    assert list(made.graph.node[3].input) == ["r", "k"]


def test_weights_are_shared_not_copied() -> None:
    graph = import_model(model(TEXT, w=random(2, 3, 1, 1), b=random(2)))
    built = build(graph)
    assert built.arrays["w"] is graph.value("w").const
    assert not built.model.graph.initializer


def test_an_op_given_one_more_input_is_lowered() -> None:
    graph = import_model(
        model("g (float[1,2,3,3] x) => (y) { y = Conv<pads = [1,1,1,1]>(x, w) }", w=random(4, 2, 3, 3))
    )
    graph.set_value(Value("new_bias", (4,), "float32", random(4)))
    conv = graph.ops[0]
    graph.replace_op(conv.changed("fold", inputs=(*conv.inputs, "new_bias")))
    made = to_proto(graph)
    assert list(made.graph.node[0].input) == ["x", "w", "new_bias"] and made.graph.node[0].name == conv.name
    onnx.checker.check_model(made, full_check=True)


def test_a_graph_that_was_never_onnx() -> None:
    values = [Value("x", ("batch", 3)), Value("y", ("batch", 3))]
    made = to_proto(Graph("made", values, [Op("relu", "act", ("x",), ("y",))], ["x"], ["y"]))
    onnx.checker.check_model(made, full_check=True)
    assert made.producer_name == "quantforge" and made.opset_import[0].version == 17


def test_quantizing_twice_is_refused_by_name() -> None:
    graph = import_model(to_proto(quantized()))
    graph.set_value(replace(graph.value("x"), quant=QuantSpec(INT8, (0.5,))))
    with pytest.raises(InputError, match=r"Q0607 x: found a tensor called 'x_DequantizeLinear_Output'"):
        to_proto(graph)


def test_an_input_that_is_also_an_output_is_not_quantized_twice() -> None:
    graph = import_model(model("g (float[2] x) => (y) { y = Relu(x) }"))
    graph.outputs = ("x", "y")
    graph.set_value(replace(graph.value("x"), quant=QuantSpec(INT8, (0.5,))))
    assert [n.op_type for n in to_proto(graph).graph.node] == ["QuantizeLinear", "DequantizeLinear", "Relu"]


def test_round_trip_of_the_quantized_model() -> None:
    round_trip(to_proto(quantized()), FEEDS)

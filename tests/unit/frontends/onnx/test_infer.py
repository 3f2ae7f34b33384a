"""Types from onnx.shape_inference on a model without weights."""

from __future__ import annotations

from onnx import helper

from quantforge.frontends.onnx import import_model
from quantforge.frontends.onnx.infer import named_inputs, shape_text, tensor_type
from quantforge.frontends.onnx.native import NOT_A_TENSOR, UNKNOWN

from .text_models import model, random


def test_shapes_and_dtypes_of_every_value() -> None:
    text = "g (float[N,3,8,8] x) => (y) { c = Conv(x, w) i = Shape(c) y = Cast<to = 1>(i) }"
    graph = import_model(model(text, w=random(4, 3, 3, 3)))
    assert (graph.value("c").shape, graph.value("c").dtype) == (("N", 4, 6, 6), "float32")
    assert (graph.value("i").shape, graph.value("i").dtype) == ((4,), "int64")


def test_after_an_unknown_operator_weights_tell_the_dtype() -> None:
    proto = model("g (float[1,3,8,8] x) => (y) { a = odd.Op(x) y = Conv(a, w) }", w=random(4, 3, 3, 3))
    proto.opset_import.append(helper.make_opsetid("odd", 1))
    graph = import_model(proto)
    assert graph.value("a").dtype == UNKNOWN
    assert graph.value("y").dtype == "float32"


def test_a_model_that_contradicts_itself_still_imports() -> None:
    proto = model("g (float[2,3] x) => (float[9] y) { y = MatMul(x, w) }", w=random(4, 3))
    assert import_model(proto).ops[0].kind == "matmul"


def test_only_unknown_sizes_get_names() -> None:
    a = helper.make_tensor_value_info("a", 1, [None, 3, None])
    b = helper.make_tensor_value_info("b", 1, [None, "k"])
    first, second = named_inputs([a, b])
    assert tensor_type(first.type).shape == ("batch", 3, "a_dim_2")
    assert tensor_type(second.type).shape == ("b_dim_0", "k")
    assert tensor_type(a.type).shape == (None, 3, None)


def test_sequences_are_no_tensors() -> None:
    assert tensor_type(helper.make_tensor_sequence_value_info("s", 1, None).type).dtype == NOT_A_TENSOR


def test_shapes_read_well() -> None:
    assert [shape_text(s) for s in (None, (), ("N", 3, None))] == ["any shape", "a scalar", "N x 3 x ?"]

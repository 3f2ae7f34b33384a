from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from quantforge.frontends.onnx.to_float32 import to_float32
from tests.unit.frontends.onnx.text_models import model, run

# 14336 are the bits of 0.5, 15872 those of 1.5
NET = """agraph (float16[2, 3] x, bool c) => (float16[2, 3] y, float[2, 3] z) {
    k = Constant <value = float16[1] {14336}> ()
    h = Add (x, w)
    g = Mul (h, k)
    i = Cast <to = 1> (g)
    z = Exp (i)
    j = Cast <to = 10> (i)
    y = If (c) <
        then_branch = then_graph () => (float16[2, 3] t) { t = Add (j, w) },
        else_branch = else_graph () => (float16[2, 3] e) {
            one = Constant <value = float16[1] {15872}> ()
            e = Mul (j, one)
        }
    >
}"""


def types(proto: onnx.ModelProto) -> str:
    return str(onnx.printer.to_text(proto))


def test_nothing_is_left_in_float16_and_the_numbers_stay() -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((2, 3)).astype(np.float16)
    source = model(NET, w=weights)
    text = types(source)
    made = to_float32(source)
    assert types(source) == text, "the model given is not changed"
    onnx.checker.check_model(made, full_check=True)
    for sign in ("float16", "to: int = 10"):
        assert sign in text and sign not in types(made)
    assert numpy_helper.to_array(made.graph.initializer[0]).dtype == np.float32
    np.testing.assert_array_equal(numpy_helper.to_array(made.graph.initializer[0]), weights)
    x = rng.standard_normal((2, 3)).astype(np.float16)
    for c in (True, False):
        want = run(source, {"x": x, "c": np.asarray(c)})
        got = run(made, {"x": x.astype(np.float32), "c": np.asarray(c)})
        for before, after in zip(want, got, strict=True):
            assert after.dtype == np.float32
            np.testing.assert_allclose(after, before.astype(np.float32), rtol=0.01, atol=0.01)


def test_functions_and_containers_too() -> None:
    proto = model(
        "agraph (seq(float16[2]) s) => (float16[2] y) { i = Constant <value = int64 {0}> () y = SequenceAt (s, i) }"
    )
    cast = helper.make_node("Cast", ["a"], ["b"], to=TensorProto.FLOAT16)
    proto.functions.append(
        helper.make_function("own", "F", ["a"], ["b"], [cast], [helper.make_opsetid("", 17)])
    )
    made = to_float32(proto)
    assert made.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type == TensorProto.FLOAT
    assert made.functions[0].node[0].attribute[0].i == TensorProto.FLOAT

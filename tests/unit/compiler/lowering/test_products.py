from __future__ import annotations

from tests.unit.frontends.onnx.text_models import random

from .checks import kinds, lowered, only


def test_constant_weights_are_rows_of_outputs() -> None:
    made = lowered(
        """g (float[N,6] x) => (y) { a = Gemm <transB = 1> (x, v, c) b = Gemm(a, w) y = MatMul(b, u) }""",
        v=random(5, 6),
        c=random(5),
        w=random(5, 4),
        u=random(4, 3),
    )
    assert kinds(made) == {"matmul": 3}
    assert [made.ops[name].tensor.shape for name in "vwu"] == [(5, 6), (4, 5), (3, 4)]
    assert all(made.ops[name].get("transpose_b") is True for name in "aby")


def test_products_of_computed_matrices() -> None:
    made = lowered("g (float[1,2,3,4] x, float[1,2,4,5] z) => (y) { y = MatMul(x, z) }")
    assert only(made, "matmul").get("transpose_b") is False
    assert kinds(made) == {"transpose": 3 - 1, "matmul": 1}


def test_rows_may_lie_in_any_order() -> None:
    """An image as a sequence of pixels: channels are last in memory already."""
    made = lowered(
        """g (float[1,3,4,5] x) => (y) {
            s = Reshape(x, shape) t = Transpose <perm = [0,2,1]> (s) y = MatMul(t, w) }""",
        shape=[1, 3, 20],
        w=random(3, 7),
    )
    assert kinds(made) == {"reshape": 1, "matmul": 1}


def test_a_vector_stays_an_onnx_node() -> None:
    assert kinds(lowered("g (float[3] x) => (y) { y = MatMul(x, w) }", w=random(3, 2))) == {"onnx:MatMul": 1}


def test_a_flattened_image_permutes_the_weights() -> None:
    made = lowered(
        """g (float[N,3,4,5] x) => (y) {
            f = Flatten(x) r = Relu(f)
            a = Gemm <transB = 1> (r, w, b) c = MatMul(f, v) y = Concat <axis = 1> (a, c) }""",
        w=random(6, 60),
        b=random(6),
        v=random(60, 2),
    )
    assert kinds(made) == {"reshape": 1, "relu": 1, "matmul": 2, "concat": 1}


def test_a_flattened_image_that_others_read_is_transposed() -> None:
    made = lowered("g (float[N,3,4,5] x) => (y, f) { f = Flatten(x) y = MatMul(f, w) }", w=random(60, 2))
    assert kinds(made) == {"transpose": 1, "reshape": 1, "matmul": 1}


def test_one_weight_behind_two_flattened_images() -> None:
    made = lowered(
        """g (float[N,2,3,4] x, float[N,2,4,3] z) => (y) {
            f = Flatten(x) h = Flatten(z) a = MatMul(f, w) b = MatMul(h, w) y = Add(a, b) }""",
        w=random(24, 5),
    )
    assert kinds(made) == {"reshape": 2, "matmul": 2, "add": 1}
    assert {"w", "w_1"} <= set(made.ops)

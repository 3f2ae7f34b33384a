from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.frontends.onnx.text_models import random

from .checks import kinds, lowered, only


def test_opposite_transposes_vanish() -> None:
    made = lowered(
        """g (float[1,3,4,5] x) => (y) {
            t = Transpose <perm = [0,2,3,1]> (x) s = Softmax <axis = 3> (t) y = Transpose <perm = [0,3,1,2]> (s) }"""
    )
    assert kinds(made) == {"softmax": 1}


def test_a_channels_last_output_is_not_moved() -> None:
    made = lowered("g (float[1,3,4,5] x) => (y) { r = Relu(x) y = Transpose <perm = [0,2,3,1]> (r) }")
    assert kinds(made) == {"relu": 1} and made.attrs["return_ops"].value == ("r",)
    assert made.attrs["quantforge_orders"].value["y"] == (0, 1, 2, 3)


def test_a_channel_shuffle_is_strided_slices() -> None:
    made = lowered(
        """g (float[1,6,4,5] x) => (y) {
            a = Reshape(x, one) t = Transpose <perm = [1,0,2]> (a) b = Reshape(t, two)
            p = Gather <axis = 0> (b, zero) q = Gather <axis = 0> (b, last)
            r = Relu(q) y = Concat <axis = 1> (p, r) }""",
        one=[3, 2, 20],
        two=[2, -1, 3, 4, 5],
        zero=np.int64(0),
        last=np.int64(-1),
    )
    assert kinds(made) == {"strided_slice": 2, "relu": 1, "concat": 1}
    assert made.ops["p"].get("strides") == (1, 1, 1, 2) and made.ops["q"].get("begin") == (0, 0, 0, 1)


def test_a_channel_shuffle_that_stays_whole() -> None:
    made = lowered(
        """g (float[1,6,4,5] x) => (y) {
            a = Reshape(x, one) t = Transpose <perm = [0,2,1,3,4]> (a) b = Reshape(t, two) y = Conv(b, w) }""",
        one=[1, 2, 3, 4, 5],
        two=[1, 6, 4, 5],
        w=random(2, 6, 1, 1),
    )
    assert kinds(made) == {"reshape": 2, "transpose": 1, "conv2d": 1}


def test_the_halves_of_a_shuffle_are_contiguous_slices() -> None:
    made = lowered(
        """g (float[1,6,4,5] x) => (y) {
            a = Reshape(x, one) p = Gather <axis = 1> (a, zero) q = Gather <axis = 1> (a, last) y = Sub(p, q) }""",
        one=[1, 2, 3, 4, 5],
        zero=np.int64(0),
        last=np.int64(1),
    )
    assert kinds(made) == {"strided_slice": 2, "sub": 1}


def test_slices_and_splits() -> None:
    made = lowered(
        """g (float[1,6,7,5] x) => (a, b, c) {
            a = Slice(x, begin, end, axes, steps) b, c = Split <axis = 1> (x, sizes) }""",
        begin=[-6, 1],
        end=[2**62, 4],
        axes=[2, 1],
        steps=[3, 1],
        sizes=[2, 4],
    )
    assert kinds(made) == {"strided_slice": 3}
    assert made.ops["a"].get("begin") == (0, 1, 0, 1) and made.ops["a"].get("strides") == (1, 3, 1, 1)
    assert made.ops["c"].tensor.shape == (1, 7, 5, 4)


def test_gathers_that_are_slices_and_one_that_is_none() -> None:
    text = "g (float[1,6,4,5] x) => (y) { y = Gather <axis = 1> (x, k) }"
    assert kinds(lowered(text, k=[1, 3, 5])) == {"strided_slice": 1}
    assert kinds(lowered(text, k=np.int64(-2))) == {"strided_slice": 1, "reshape": 1}
    assert kinds(lowered(text, k=[1, 0])) == {"onnx:Gather": 1, "transpose": 1}
    assert "onnx:Slice" in kinds(
        lowered("g (float[1,6,4,5] x) => (y) { y = Slice(x, b, e, a, s) }", b=[-1], e=[-9], a=[1], s=[-1])
    )


def test_parts_in_different_orders_meet_in_the_order_of_the_image() -> None:
    made = lowered(
        """g (float[1,3,4,5] x, float[1,60] z) => (y) {
            r = Relu(x) q = Reshape(z, shape) y = Concat <axis = 1> (q, r, k) }""",
        shape=[1, 3, 4, 5],
        k=random(1, 2, 4, 5),
    )
    assert only(made, "concat").get("axis") == 3 and kinds(made)["transpose"] == 1


def test_a_feature_map_of_one_pixel_is_reshaped_without_transpose() -> None:
    made = lowered(
        "g (float[N,8,4,4] x) => (y) { p = GlobalAveragePool(x) f = Reshape(p, s) y = Relu(f) }", s=[0, -1]
    )
    assert kinds(made) == {"avgpool2d": 1, "reshape": 1, "relu": 1}


def test_detector_heads_reshape_as_they_lie() -> None:
    """(N, anchors * classes, H, W) to (N, H * W * anchors, classes), the way detectors do."""
    made = lowered(
        """g (float[1,6,4,5] x) => (y) {
            t = Transpose <perm = [0,2,3,1]> (x) r = Reshape(t, shape) y = Softmax <axis = 2> (r) }""",
        shape=[1, -1, 2],
    )
    assert kinds(made) == {"reshape": 1, "softmax": 1}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_chains_of_moves_compute_what_onnx_computes(data: st.DataObject) -> None:
    shape: list[int] = data.draw(
        st.sampled_from([[1, 6, 4, 5], [1, 12, 1, 1], [1, 4, 6], [2, 6], [1, 2, 3, 2, 4]])
    )
    text, arrays, name = f"g (float{shape} x) => (y) {{ v0 = Exp(x) ", {}, "v0"
    for step in range(data.draw(st.integers(1, 5))):
        how = data.draw(st.sampled_from(["transpose", "reshape", "slice", "relu", "flatten", "unsqueeze"]))
        new = f"v{step + 1}"
        if how == "transpose":
            perm = data.draw(st.permutations(range(len(shape))))
            text += f"{new} = Transpose <perm = {list(perm)}> ({name}) "
            shape = [shape[axis] for axis in perm]
        elif how == "reshape":
            shape = _regrouped(data, shape)
            arrays[f"s{step}"] = shape
            text += f"{new} = Reshape({name}, s{step}) "
        elif how == "slice":
            axis = data.draw(st.integers(0, len(shape) - 1))
            begin = data.draw(st.integers(0, shape[axis] - 1))
            by = data.draw(st.integers(1, 3))
            arrays |= {f"b{step}": [begin], f"e{step}": [2**40], f"a{step}": [axis], f"p{step}": [by]}
            text += f"{new} = Slice({name}, b{step}, e{step}, a{step}, p{step}) "
            shape = [len(range(begin, n, by)) if at == axis else n for at, n in enumerate(shape)]
        elif how == "flatten":
            text += f"{new} = Flatten({name}) "
            shape = [shape[0], int(np.prod(shape[1:]))]
        elif how == "unsqueeze":
            axis = data.draw(st.integers(0, len(shape)))
            arrays[f"u{step}"] = [axis]
            text += f"{new} = Unsqueeze({name}, u{step}) "
            shape = [*shape[:axis], 1, *shape[axis:]]
        else:
            text += f"{new} = Relu({name}) "
        name = new
    made = lowered(text + f"y = Neg({name}) }}", **arrays)
    assert set(kinds(made)) <= {"exp", "neg", "relu", "transpose", "reshape", "strided_slice"}


def _regrouped(data: st.DataObject, shape: list[int]) -> list[int]:
    """The same elements in another shape."""
    factors = [p for size in shape for p in _primes(size)]
    sizes: list[int] = []
    while factors:
        take = data.draw(st.integers(1, len(factors)))
        sizes.append(int(np.prod(factors[:take])))
        factors = factors[take:]
    return [1] * data.draw(st.integers(0, 1)) + (sizes or [1])


def _primes(size: int) -> list[int]:
    for p in range(2, size + 1):
        if size % p == 0:
            return [p, *_primes(size // p)]
    return []

from __future__ import annotations

import numpy as np
import onnx
import pytest

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.channels_last import channels_last
from tests.unit.frontends.onnx.text_models import model, random, run

NET = """agraph (float[n,3,8,8] x, float[n,3,8,8] v) => (float[n,4,8,8] y, float[n,4] s) {
    h = Add (x, v)
    y = Conv <kernel_shape = [1, 1]> (h, w)
    m = Relu (y)
    s = ReduceMean <axes = [2, 3], keepdims = 0> (m)
}"""


def test_images_are_turned_at_both_ends() -> None:
    source = model(NET, w=random(4, 3, 1, 1))
    before = source.SerializeToString()
    made, names = channels_last(source)
    assert names == ("x", "v") and source.SerializeToString() == before
    onnx.checker.check_model(made, full_check=True)
    feeds = {"x": random(2, 3, 8, 8), "v": random(2, 3, 8, 8, seed=1)}
    y, s = run(source, feeds)
    turned = run(made, {name: array.transpose(0, 2, 3, 1) for name, array in feeds.items()})
    np.testing.assert_array_equal(turned[0], y.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(turned[1], s)
    assert [value.name for value in made.graph.output] == ["y", "s"], "the original renames y"
    dims = made.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["n", 8, 8, 3]


def test_subgraphs_read_the_new_names() -> None:
    text = """agraph (float[1,3,8,8] x, bool[1,3,8,8] b) => (float[1,3,8,8] y) {
        f = Cast <to = 1> (b)
        a = ReduceMax <keepdims = 0> (f)
        c = Cast <to = 9> (a)
        y = If (c) <
            then_branch = one () => (float[1,3,8,8] t) { t = Neg (x) },
            else_branch = two () => (float[1,3,8,8] e) { e = Identity (x) }
        >
    }"""
    source = model(text)
    made, _ = channels_last(source)
    x = random(1, 3, 8, 8)
    for fill in (True, False):
        feeds = {"x": x, "b": np.full((1, 3, 8, 8), fill)}
        want = run(source, feeds)[0]
        got = run(made, {name: array.transpose(0, 2, 3, 1) for name, array in feeds.items()})[0]
        np.testing.assert_array_equal(got, want.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("shape", ["n,3", "n,3,h,w", "n,9,8,8", "n,8,8,3", "n,3,8"])
def test_every_input_has_to_be_an_image(shape: str) -> None:
    text = (
        f"agraph (float[n,3,8,8] x, float[{shape}] v) => (float[n,3,8,8] y) {{ y = Relu (x) z = Relu (v) }}"
    )
    with pytest.raises(InputError, match=r"Q0716 input 'v': found \[n, .*\]; expected \[N, C, H, W\]"):
        channels_last(model(text))


def test_a_name_that_is_taken() -> None:
    text = "agraph (float[n,3,8,8] x) => (float[n,3,8,8] y) { x_transpose = Relu (x) y = Abs (x_transpose) }"
    with pytest.raises(InputError, match="Q0607 x: found a tensor called 'x_transpose'"):
        channels_last(model(text))

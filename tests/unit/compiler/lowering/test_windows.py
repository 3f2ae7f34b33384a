from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.frontends.onnx.text_models import random

from .checks import kinds, lowered, only


def test_attributes_are_listed_by_width_first() -> None:
    made = lowered(
        """g (float[1,3,9,8] x) => (y) {
            y = Conv <strides = [1,2], dilations = [2,1], pads = [1,0,2,3]> (x, w, b) }""",
        w=random(4, 3, 3, 2),
        b=random(4),
    )
    op = only(made, "conv2d")
    assert op.get("kernel") == (2, 3) and op.get("stride") == (2, 1) and op.get("dilation") == (1, 2)
    assert op.get("pad") == (0, 3, 1, 2) and op.get("pad_mode") == "FLOOR" and op.get("group") == 1
    assert made.ops["w"].tensor.shape == (4, 3, 2, 3) and made.ops["b"].tensor.shape == (4,)


@pytest.mark.parametrize(
    ("weights", "group", "kind", "stored"),
    [
        ((6, 2, 3, 3), 2, "conv2d", (6, 3, 3, 2)),
        ((4, 1, 3, 2), 4, "depthwise-conv2d", (1, 3, 2, 4)),
        ((8, 1, 3, 3), 4, "depthwise-conv2d", (2, 3, 3, 4)),  # output channel c * 2 + m reads channel c
    ],
)
def test_groups_and_multipliers(
    weights: tuple[int, ...], group: int, kind: str, stored: tuple[int, ...]
) -> None:
    made = lowered(
        f"g (float[N,4,6,6] x) => (y) {{ y = Conv <group = {group}> (x, w, b) }}",
        w=random(*weights),
        b=random(weights[0]),
    )
    assert kinds(made) == {kind: 1} and made.ops["w"].tensor.shape == stored


@pytest.mark.parametrize(("group", "weights"), [(1, (3, 4, 3, 2)), (3, (3, 2, 3, 2))])
def test_transposed_weights_are_flipped(group: int, weights: tuple[int, ...]) -> None:
    made = lowered(
        f"""g (float[1,3,5,4] x) => (y) {{
            y = ConvTranspose <group = {group}, strides = [2,2], pads = [1,0,1,1], output_padding = [1,1]>
                (x, w, b) }}""",
        w=(w := random(*weights)),
        b=random(weights[1] * group),
    )
    op = made.ops["y"]
    assert op.kind == ("transposed-conv2d" if group == 1 else "transposed-depthwise-conv2d")
    assert op.get("pad") == (0, 0, 1, 0)  # the output padding is taken from the end padding
    stored = np.frombuffer(made.ops["w"].get("data"), np.float32).reshape(made.ops["w"].tensor.shape)
    first = stored[:, ::-1, ::-1, :]
    assert np.array_equal(first.transpose((3, 0, 1, 2)), w)


def test_transposed_convolutions_that_xir_lacks_stay_onnx_nodes() -> None:
    groups = "g (float[1,4,5,5] x) => (y) { y = ConvTranspose <group = 2> (x, w) }"
    assert kinds(lowered(groups, w=random(4, 3, 3, 3))) == {"onnx:ConvTranspose": 1, "transpose": 1}
    beyond = (
        "g (float[1,4,5,5] x) => (y) { y = ConvTranspose <strides = [2,2], output_padding = [1,1]> (x, w) }"
    )
    assert kinds(lowered(beyond, w=random(4, 3, 3, 3))) == {"onnx:ConvTranspose": 1, "transpose": 1}


def test_volumes() -> None:
    made = lowered(
        """g (float[1,2,5,6,7] x) => (y) {
            a = Conv <strides = [1,2,1], pads = [1,0,2,0,1,1]> (x, w, b)
            y = ConvTranspose <strides = [2,1,1], pads = [0,1,0,1,0,1]> (a, v) }""",
        w=random(3, 2, 2, 3, 1),
        b=random(3),
        v=random(3, 2, 2, 1, 3),
    )
    op = only(made, "conv3d")
    assert op.get("kernel") == (1, 3, 2) and op.get("stride") == (1, 2, 1)
    assert op.get("pad") == (2, 1, 0, 1, 1, 0)  # left, right, top, bottom, near, far
    assert made.ops["x"].tensor.shape == (1, 6, 7, 5, 2)
    assert kinds(made) == {"conv3d": 1, "transposed-conv3d": 1}


def test_lines_are_images_of_height_1() -> None:
    made = lowered(
        """g (float[N,3,16] x) => (y) {
            a = Conv <pads = [1,1]> (x, w, b)
            d = Conv <group = 4, dilations = [2]> (a, v)
            m = MaxPool <kernel_shape = [3], strides = [2]> (d)
            y = AveragePool <kernel_shape = [2], pads = [1,0]> (m) }""",
        w=random(4, 3, 3),
        b=random(4),
        v=random(4, 1, 3),
    )
    assert kinds(made) == {"reshape": 2, "conv2d": 1, "depthwise-conv2d": 1, "maxpool2d": 1, "avgpool2d": 1}
    assert made.ops["a"].tensor.shape == (1, 1, 16, 4) and made.ops["a"].get("kernel") == (3, 1)
    assert made.ops["x"].tensor.shape == (1, 16, 3)


def test_an_average_says_that_it_is_exact_and_what_it_counts() -> None:
    made = lowered(
        """g (float[1,2,6,6] x) => (a, b, c, d) {
            a = AveragePool <kernel_shape = [3,3], pads = [1,1,1,1], count_include_pad = 1> (x)
            b = AveragePool <kernel_shape = [3,2], pads = [1,0,1,1]> (x)
            c = GlobalAveragePool(x)
            d = GlobalMaxPool(x) }"""
    )
    assert all(made.ops[name].get("avg_exact") is True for name in "abc")
    assert [made.ops[name].get("count_include_pad") for name in "abc"] == [True, False, False]
    assert made.ops["c"].get("global") is True and made.ops["c"].get("kernel") == (6, 6)
    assert made.ops["b"].get("kernel") == (2, 3) and made.ops["d"].kind == "maxpool2d"
    assert made.ops["d"].get("avg_exact") is None


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(4, 9),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    begin=st.integers(0, 3),
    end=st.integers(0, 3),
    ceil=st.booleans(),
    kind=st.sampled_from(["MaxPool", "AveragePool", "AveragePool <count_include_pad = 1>"]),
)
def test_windows_of_every_shape(
    size: int, kernel: int, stride: int, begin: int, end: int, ceil: bool, kind: str
) -> None:
    begin, end = min(begin, kernel - 1), min(end, kernel - 1)
    name, _, more = kind.rstrip(">").partition(" <")
    attrs = f"kernel_shape = [{kernel},2], strides = [{stride},1], pads = [{begin},0,{end},0]"
    attrs += f", ceil_mode = {int(ceil)}"
    made = lowered(
        f"g (float[1,2,{size},4] x) => (y) {{ y = {name} <{attrs}{', ' + more if more else ''}> (x) }}"
    )
    assert set(kinds(made)) <= {"maxpool2d", "avgpool2d", "onnx:AveragePool", "transpose"}
    if not ceil:
        assert "transpose" not in kinds(made)


def test_pools_that_xir_lacks_stay_onnx_nodes() -> None:
    text = "g (float[1,2,6,6] x) => (y) { y = MaxPool <kernel_shape = [2,2], dilations = [2,2]> (x) }"
    assert kinds(lowered(text)) == {"onnx:MaxPool": 1, "transpose": 1}
    assert "onnx:AveragePool" in kinds(
        lowered("g (float[1,2,4,4,4] x) => (y) { y = AveragePool <kernel_shape = [2,2,2]> (x) }")
    )


def test_computed_weights_stay_onnx_nodes() -> None:
    assert "onnx:Conv" in kinds(lowered("g (float[1,2,6,6] x, float[3,2,3,3] w) => (y) { y = Conv(x, w) }"))

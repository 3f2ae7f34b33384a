from __future__ import annotations

import pytest

from quantforge.graph import Shape, Value
from quantforge.ops.channels import input_channel_axis, is_depthwise, output_channel_axis, value_channel_axis
from tests.unit.ops.single_op import make_op


@pytest.mark.parametrize(
    ("kind", "layout", "out", "into"),
    [
        ("conv2d", "OIHW", 0, 1),
        ("conv2d", "HWIO", 3, 2),
        ("conv1d", "OIW", 0, 1),
        ("transposed-conv2d", "IOHW", 1, 0),
        ("depthwise-conv2d", "OIHW", 0, 0),
        ("transposed-depthwise-conv2d", "IOHW", 0, 0),
        ("inner-product", "OI", 0, 1),
        ("matmul", "IO", 1, 0),
    ],
)
def test_channel_axes_of_weights(kind: str, layout: str, out: int, into: int) -> None:
    op = make_op(kind, 2, weight_layout=layout)
    assert (output_channel_axis(op), input_channel_axis(op)) == (out, into)
    assert is_depthwise(op) == ("depthwise" in kind)


def test_without_weights_there_are_none() -> None:
    assert output_channel_axis(make_op("relu")) is None and input_channel_axis(make_op("relu")) is None
    assert output_channel_axis(make_op("matmul", 2)) is None


@pytest.mark.parametrize(
    ("shape", "layout", "axis"),
    [
        ((1, 3, 8, 8), "NCHW", 1),
        ((1, 8, 8, 3), "NHWC", 3),
        ((1, 3, 8, 8), None, 1),
        ((1, 10), None, -1),
        (None, None, -1),
    ],
)
def test_channel_axis_of_activations(shape: Shape | None, layout: str | None, axis: int) -> None:
    assert value_channel_axis(Value("x", shape), layout) == axis

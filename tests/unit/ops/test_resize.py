from __future__ import annotations

import itertools

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import QuantSpec, Value
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.ops.integer import IntTensor, requantize
from quantforge.ops.registry import spec
from quantforge.ops.resize import COORDINATES, NEAREST
from tests.unit.ops.single_op import assert_close, in_onnx_runtime, in_ours, make_op, normal

SCALES = [(2.0, 2.0), (0.5, 0.6), (1.5, 3.0), (1.0, 2.3)]
SIZES = [(10, 9), (3, 2), (5, 1), (7, 12)]


@pytest.mark.parametrize("coordinate", COORDINATES)
@pytest.mark.parametrize("nearest_mode", NEAREST)
def test_nearest_equals_onnx_runtime(coordinate: str, nearest_mode: str) -> None:
    x = normal(1, 2, 5, 4)
    theirs = {"mode": "nearest", "coordinate_transformation_mode": coordinate, "nearest_mode": nearest_mode}
    ours = {"mode": "nearest", "coordinate": coordinate, "nearest_mode": nearest_mode}
    for scales in SCALES:
        full = (1.0, 1.0, *scales)
        expected = in_onnx_runtime("Resize", [x, None, np.array(full, np.float32)], **theirs)[0]
        assert np.array_equal(in_ours("resize", [x], scales=full, **ours)[0], expected), scales
    for sizes in SIZES:
        expected = in_onnx_runtime("Resize", [x, None, None, np.array((1, 2, *sizes))], **theirs)[0]
        assert np.array_equal(in_ours("resize", [x], sizes=(1, 2, *sizes), **ours)[0], expected), sizes


@pytest.mark.parametrize(("mode", "coordinate"), list(itertools.product(("linear", "cubic"), COORDINATES)))
def test_interpolation_equals_onnx_runtime(mode: str, coordinate: str) -> None:
    x = normal(2, 2, 5, 4)
    theirs = {"mode": mode, "coordinate_transformation_mode": coordinate}
    for scales in SCALES:
        full = (1.0, 1.0, *scales)
        expected = in_onnx_runtime("Resize", [x, None, np.array(full, np.float32)], **theirs)[0]
        assert_close(in_ours("resize", [x], scales=full, mode=mode, coordinate=coordinate)[0], expected)
    for sizes in SIZES:
        expected = in_onnx_runtime("Resize", [x, None, None, np.array((2, 2, *sizes))], **theirs)[0]
        assert_close(in_ours("resize", [x], sizes=sizes, mode=mode, coordinate=coordinate)[0], expected)


def test_channels_last() -> None:
    x = normal(2, 5, 4, 3)
    last = in_ours("resize", [x], sizes=(10, 9), mode="linear", layout="NHWC")[0]
    first = in_ours("resize", [x.transpose(0, 3, 1, 2)], sizes=(10, 9), mode="linear")[0]
    assert np.array_equal(last.transpose(0, 3, 1, 2), first)


def test_the_published_upsampling() -> None:
    """Bilinear, doubled, half_pixel: row [0, 100] (runtime fact sheet, 2.14)."""
    op = make_op("resize", mode="linear", coordinate="half_pixel", scales=(1.0, 1.0, 1.0, 2.0))
    result = spec("resize").integer(op, [IntTensor.of([[[[0, 100]]]], 1.0)])
    assert result is not None
    rounded = requantize(result[0], QuantSpec.power_of_two(INT8, 0, Rounding.HALF_UP))
    assert rounded.data.tolist() == [[[[0, 25, 75, 100]]]]


def test_integer_interpolation_is_exact_for_dyadic_weights_only() -> None:
    x = np.random.default_rng(0).integers(0, 256, (1, 2, 5, 4))
    for coordinate in ("half_pixel", "asymmetric"):
        op = make_op("resize", mode="linear", coordinate=coordinate, scales=(1.0, 1.0, 2.0, 2.0))
        result = spec("resize").integer(op, [IntTensor.of(x, 0.25, 128)])
        real = spec("resize").compute(op, [(x - 128) * 0.25])
        assert result is not None and np.array_equal(result[0].data * result[0].scale, real[0])
    thirds = make_op("resize", mode="linear", scales=(1.0, 1.0, 3.0, 3.0))
    assert spec("resize").integer(thirds, [IntTensor.of(x, 0.25)]) is None
    nearest = make_op("resize", mode="nearest", scales=(1.0, 1.0, 3.0, 3.0))
    result = spec("resize").integer(nearest, [IntTensor.of(x, 0.3, 128)])
    assert result is not None and np.array_equal(result[0].data, x.repeat(3, 2).repeat(3, 3))


def test_shapes_and_refusals() -> None:
    op = make_op("resize", scales=(1.0, 1.0, 2.0, 1.5))
    assert spec("resize").infer(op, [Value("x", ("b", 3, 5, 5))]) == [(("b", 3, 10, 7), "float32")]
    assert spec("resize").infer(op, [Value("x", ("b", 3, "h", 5))]) == [(("b", 3, None, 7), "float32")]
    with pytest.raises(InputError, match="Q0404 the resize: found 3 scales for 4 axes; expected 4 or 2"):
        spec("resize").infer(make_op("resize", scales=(1.0, 1.0, 2.0)), [Value("x", (1, 3, 5, 5))])
    with pytest.raises(InputError, match="Q0404 the resize: found an output size of 0"):
        in_ours("resize", [normal(1, 1, 2, 2)], scales=(1.0, 1.0, 0.3, 1.0))
    with pytest.raises(InputError, match="Q0405 the resize: found attribute coordinate='tf_crop_and_resize'"):
        in_ours("resize", [normal(1, 1, 2, 2)], scales=(1.0, 1.0, 2.0, 2.0), coordinate="tf_crop_and_resize")

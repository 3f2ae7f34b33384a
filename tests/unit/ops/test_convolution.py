from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import Array, QuantSpec, Value
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.ops.integer import IntTensor, requantize
from quantforge.ops.registry import spec
from tests.unit.ops.single_op import assert_close, in_onnx_runtime, in_ours, make_op, normal

SPACE = {1: (11,), 2: (9, 8), 3: (5, 6, 5)}


def compare(x: Array, weights: Array, bias: Array | None, transposed: bool = False, **attrs: Any) -> None:
    rank = x.ndim - 2
    native = {"strides": "stride", "dilations": "dilation", "pads": "pads", "group": "group"}
    onnx_attrs = {key: attrs[ours] for key, ours in native.items() if ours in attrs}
    if "output_padding" in attrs:
        onnx_attrs["output_padding"] = attrs["output_padding"]
    expected = in_onnx_runtime("ConvTranspose" if transposed else "Conv", [x, weights, bias], **onnx_attrs)
    kind = f"{'transposed-' if transposed else ''}conv{rank}d"
    assert_close(in_ours(kind, [x, weights, bias], **attrs)[0], expected[0])


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("stride", "dilation", "group"), list(itertools.product((1, 2), (1, 2), (1, 2))))
def test_convolution_equals_onnx_runtime(rank: int, stride: int, dilation: int, group: int) -> None:
    x = normal(2, 4, *SPACE[rank], seed=1)
    weights = normal(6, 4 // group, *(3, 2, 2)[:rank], seed=2)
    pads = (1, 0, 2)[:rank] + (0, 1, 1)[:rank]
    attrs = {"stride": (stride,) * rank, "dilation": (dilation,) * rank, "pads": pads, "group": group}
    compare(x, weights, normal(6, seed=3), **attrs)
    compare(x, weights, None, **attrs)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_equals_onnx_runtime(multiplier: int) -> None:
    x, weights = normal(2, 5, 9, 8), normal(5 * multiplier, 1, 3, 3)
    expected = in_onnx_runtime("Conv", [x, weights], group=5, pads=[1, 1, 1, 1])
    actual = in_ours("depthwise-conv2d", [x, weights], group=5, pads=(1, 1, 1, 1))
    assert_close(actual[0], expected[0])


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("stride", "dilation", "group"), list(itertools.product((1, 2, 3), (1, 2), (1, 2))))
def test_transposed_equals_onnx_runtime(rank: int, stride: int, dilation: int, group: int) -> None:
    x, weights = normal(2, 4, *SPACE[rank], seed=1), normal(4, 3, *(3, 2, 4)[:rank], seed=2)
    attrs = {
        "stride": (stride,) * rank,
        "dilation": (dilation,) * rank,
        "pads": (1, 0, 2)[:rank] + (0, 1, 1)[:rank],
        "group": group,
        "output_padding": (stride - 1,) + (0,) * (rank - 1),
    }
    compare(x, weights, normal(3 * group, seed=3), transposed=True, **attrs)


def test_channels_last_is_the_same_convolution() -> None:
    x, weights = normal(2, 4, 9, 8), normal(6, 4, 3, 3)
    first = in_ours("conv2d", [x, weights], pads=(1, 1, 1, 1))[0]
    moved = [x.transpose(0, 2, 3, 1), weights.transpose(2, 3, 1, 0)]
    last = in_ours("conv2d", moved, pads=(1, 1, 1, 1), layout="NHWC", weight_layout="HWIO")[0]
    assert np.array_equal(first, last.transpose(0, 3, 1, 2))


def brute_force(x: Array, weights: Array, bias: Array, stride: int, pad: int, group: int) -> Array:
    """Python integers, one output at a time; x [C, H, W], weights [M, C / group, K, K]."""
    _, height, width = x.shape
    out, per_group, size, _ = weights.shape
    rows, columns = ((n + 2 * pad - size) // stride + 1 for n in (height, width))
    y = np.zeros((out, rows, columns), object)
    for m, i, j in np.ndindex(out, rows, columns):
        first = m // (out // group) * per_group
        total = int(bias[m])
        for c, a, b in np.ndindex(per_group, size, size):
            r, s = i * stride + a - pad, j * stride + b - pad
            if 0 <= r < height and 0 <= s < width:
                total += int(x[first + c, r, s]) * int(weights[m, c, a, b])
        y[m, i, j] = total
    return y


@pytest.mark.parametrize(("bits", "zero_point"), [(8, 0), (8, 130), (16, 0), (24, 0)])
@pytest.mark.parametrize(("stride", "group"), [(1, 1), (2, 2), (1, 4)])
def test_integer_accumulators_are_exact(bits: int, zero_point: int, stride: int, group: int) -> None:
    rng = np.random.default_rng(bits + zero_point)
    low, high = (0, 256) if zero_point else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    x, weights = (
        rng.integers(low, high, (4, 6, 5)),
        rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (8, 4 // group, 3, 3)),
    )
    bias = rng.integers(-1000, 1000, 8)
    op = make_op("conv2d", 3, stride=(stride, stride), pads=(1, 1, 1, 1), group=group)
    operands = [
        IntTensor.of(x[np.newaxis], 0.25, zero_point),
        IntTensor.of(weights, 0.5),
        IntTensor.of(bias, 0.125),
    ]
    result = spec("conv2d").integer(op, operands)
    assert result is not None
    assert result[0].scale == 0.125
    assert result[0].data[0].tolist() == brute_force(x - zero_point, weights, bias, stride, 1, group).tolist()


def test_accumulators_beyond_int64_are_refused() -> None:
    big = IntTensor.of(np.full((1, 4, 3, 3), 2**31), 1.0)
    assert spec("conv2d").integer(make_op("conv2d", 2), [big, big]) is None


def test_per_channel_scales_follow_the_output_channels() -> None:
    x, weights = IntTensor.of(np.ones((1, 2, 4, 4)), 0.5), np.ones((3, 2, 1, 1))
    scale = np.array([0.5, 0.3, 0.125])
    bias = IntTensor.of([1, 2, 3], np.float32(0.5) * scale.astype(np.float32), axis=0)
    result = spec("conv2d").integer(make_op("conv2d", 3), [x, IntTensor.of(weights, scale, axis=0), bias])
    assert result is not None
    assert result[0].axis == 1
    assert result[0].data[0, :, 0, 0].tolist() == [3, 4, 5]
    np.testing.assert_array_equal(result[0].scale, 0.5 * scale)
    last = make_op("conv2d", 2, layout="NHWC", weight_layout="HWIO")
    moved = [IntTensor.of(np.ones((1, 4, 4, 2)), 0.5), IntTensor.of(np.ones((1, 1, 2, 3)), scale, axis=3)]
    result = spec("conv2d").integer(last, moved)
    assert result is not None and result[0].axis == 3


@pytest.mark.parametrize(("group", "axis", "expected"), [(1, 1, [1, 2, 4]), (2, 1, [1, 2, 4, 1, 2, 4])])
def test_per_channel_scales_of_a_transposed_convolution(group: int, axis: int, expected: list[float]) -> None:
    weights = IntTensor.of(np.ones((4, 3, 2, 2)), [1.0, 2.0, 4.0], axis=axis)
    op = make_op("transposed-conv2d", 2, group=group)
    result = spec("transposed-conv2d").integer(op, [IntTensor.of(np.ones((1, 4, 2, 2)), 1.0), weights])
    assert result is not None and result[0].scale.tolist() == expected


def test_an_unrelated_bias_scale_has_no_integer_form() -> None:
    x, weights = IntTensor.of(np.ones((1, 2, 4, 4)), 0.3), IntTensor.of(np.ones((3, 2, 1, 1)), 0.7)
    assert spec("conv2d").integer(make_op("conv2d", 3), [x, weights, IntTensor.of([1, 2, 3], 0.5)]) is None
    float_bias = np.ones(3, np.float32)
    assert spec("conv2d").integer(make_op("conv2d", 3), [x, weights, float_bias]) is None


def half_up(position: int) -> QuantSpec:
    return QuantSpec.power_of_two(INT8, position, Rounding.HALF_UP)


def test_the_published_convolution() -> None:
    """fi=2, fw=1, fb=2, fo=1: shift_bias 1, shift_cut 2 (runtime fact sheet, 2.14)."""
    x = IntTensor.of(np.arange(1, 10).reshape(1, 1, 3, 3), 2.0**-2)
    weights, bias = IntTensor.of([[[[1, -1], [2, 0]]]], 2.0**-1), IntTensor.of([-3], 2.0**-2)
    op = make_op("conv2d", 3, pads=(1, 1, 0, 0))
    plain = spec("conv2d").integer(op, [x, weights, None])
    assert plain is not None and plain[0].data[0, 0].tolist() == [[0, 2, 4], [-1, 7, 9], [-4, 13, 15]]
    summed = spec("conv2d").integer(op, [x, weights, bias])
    assert summed is not None
    assert requantize(summed[0], half_up(1)).data[0, 0].tolist() == [[-1, -1, 0], [-2, 0, 1], [-2, 2, 2]]


def test_the_published_shifts() -> None:
    """fi=5, fw=7, fb=8, fo=4; acc 1234, b -37: 642 / 256 is 3 (2.3)."""
    x, weights, bias = (
        IntTensor.of([[[[1234]]]], 2.0**-5),
        IntTensor.of([[[[1]]]], 2.0**-7),
        IntTensor.of([-37], 2.0**-8),
    )
    acc = spec("conv2d").integer(make_op("conv2d", 3), [x, weights, bias])
    assert acc is not None and acc[0].data.item() == 642
    assert requantize(acc[0], half_up(4)).data.item() == 3


def test_a_bias_finer_than_the_accumulator_stays_exact() -> None:
    """Negative shift_bias: acc' = (acc << n) + b (2.3)."""
    x, weights, bias = (
        IntTensor.of([[[[5]]]], 2.0**-1),
        IntTensor.of([[[[3]]]], 1.0),
        IntTensor.of([-1], 2.0**-4),
    )
    acc = spec("conv2d").integer(make_op("conv2d", 3), [x, weights, bias])
    assert acc is not None and acc[0].data.item() == (15 << 3) - 1 and acc[0].scale == 2.0**-4


def test_the_published_transposed_convolution() -> None:
    """The fact sheet correlates (2.14); ONNX weights are its weights flipped in space."""
    x = IntTensor.of([[[[1, 2], [3, 4]]]], 1.0)
    weights = IntTensor.of(np.arange(1, 10).reshape(1, 1, 3, 3)[:, :, ::-1, ::-1], 1.0)
    op = make_op("transposed-conv2d", 2, stride=(2, 2), pads=(1, 1, 1, 1))
    acc = spec("transposed-conv2d").integer(op, [x, weights])
    assert acc is not None and acc[0].data[0, 0].tolist() == [[5, 16, 10], [26, 64, 36], [15, 36, 20]]


def test_integer_transposed_equals_float() -> None:
    rng = np.random.default_rng(0)
    x, weights = rng.integers(-128, 128, (2, 4, 5, 4)), rng.integers(-128, 128, (4, 3, 3, 3))
    op = make_op("transposed-conv2d", 2, stride=(2, 1), pads=(1, 0, 0, 1), group=2, dilation=(1, 2))
    acc = spec("transposed-conv2d").integer(op, [IntTensor.of(x, 1.0), IntTensor.of(weights, 1.0)])
    real = spec("transposed-conv2d").compute(op, [x.astype(np.float64), weights.astype(np.float64)])
    assert acc is not None and np.array_equal(acc[0].data, real[0])


def test_macs() -> None:
    op = make_op("conv2d", 2)
    shapes = [("batch", 16, 32, 32), (32, 16, 3, 3)], [("batch", 32, 30, 30)]
    assert spec("conv2d").macs(op, *shapes) == 32 * 16 * 9 * 30 * 30
    op = make_op("transposed-conv2d", 2)
    assert (
        spec("transposed-conv2d").macs(op, [(2, 4, 5, 5), (4, 3, 2, 2)], [(2, 3, 6, 6)]) == 2 * 4 * 3 * 4 * 25
    )


def test_symbolic_sizes_survive_same_padding() -> None:
    op = make_op("conv2d", 2, pads=(1, 1, 1, 1))
    values = [Value("x", ("batch", 3, "h", "w")), Value("w", (8, 3, 3, 3))]
    assert spec("conv2d").infer(op, values) == [(("batch", 8, "h", "w"), "float32")]
    strided = make_op("conv2d", 2, pads=(1, 1, 1, 1), stride=(2, 2))
    assert spec("conv2d").infer(strided, values) == [(("batch", 8, None, None), "float32")]


@pytest.mark.parametrize(
    ("x", "weights", "text"),
    [
        ((1, 3, 4, 4), (8, 4, 3, 3), "3 input channels"),
        ((1, 3, 4), (8, 3, 3, 3), "4 axes each"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(x: tuple[int, ...], weights: tuple[int, ...], text: str) -> None:
    with pytest.raises(InputError, match=f"Q0404 the conv2d: .*{text}"):
        spec("conv2d").infer(make_op("conv2d", 2), [Value("x", x), Value("w", weights)])


def test_a_window_larger_than_the_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"Q0404 the conv2d: .*at least one whole window"):
        in_ours("conv2d", [normal(1, 3, 2, 2), normal(8, 3, 3, 3)])
    with pytest.raises(InputError, match=r"Q0404 the conv2d: .*3 input channels"):
        in_ours("conv2d", [normal(1, 4, 5, 5), normal(8, 3, 3, 3)])

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import QuantSpec, Value
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.ops.integer import IntTensor, requantize
from quantforge.ops.registry import spec
from tests.unit.ops.single_op import assert_close, in_onnx_runtime, in_ours, make_op, normal

SPACE = {1: (11,), 2: (9, 8), 3: (5, 6, 7)}


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    ("stride", "padded", "ceil_mode"), list(itertools.product((1, 2, 3), (False, True), (False, True)))
)
def test_max_pool_equals_onnx_runtime(rank: int, stride: int, padded: bool, ceil_mode: bool) -> None:
    x, kernel = normal(2, 3, *SPACE[rank]) - 5, (3, 2, 3)[:rank]
    pads = ((1, 0, 1)[:rank] + (1, 1, 0)[:rank]) if padded else (0,) * 2 * rank
    for dilation in (1, 2):
        shared = {"pads": pads, "ceil_mode": int(ceil_mode)}
        expected = in_onnx_runtime(
            "MaxPool",
            [x],
            kernel_shape=kernel,
            strides=(stride,) * rank,
            dilations=(dilation,) * rank,
            **shared,
        )
        actual = in_ours(
            f"maxpool{rank}d",
            [x],
            kernel=kernel,
            stride=(stride,) * rank,
            dilation=(dilation,) * rank,
            **shared,
        )
        assert_close(actual[0], expected[0], 0.0)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    ("stride", "padded", "ceil_mode", "include"),
    list(itertools.product((1, 2, 3), (False, True), (False, True), (False, True))),
)
def test_average_pool_equals_onnx_runtime(
    rank: int, stride: int, padded: bool, ceil_mode: bool, include: bool
) -> None:
    x, kernel = normal(2, 3, *SPACE[rank]), (3, 2, 3)[:rank]
    pads = ((1, 0, 1)[:rank] + (1, 1, 0)[:rank]) if padded else (0,) * 2 * rank
    shared = {"pads": pads, "ceil_mode": int(ceil_mode), "count_include_pad": int(include)}
    expected = in_onnx_runtime("AveragePool", [x], kernel_shape=kernel, strides=(stride,) * rank, **shared)
    actual = in_ours(f"avgpool{rank}d", [x], kernel=kernel, stride=(stride,) * rank, **shared)
    assert_close(actual[0], expected[0])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global_pools_equal_onnx_runtime(rank: int) -> None:
    x = normal(2, 3, *SPACE[rank])
    assert_close(
        in_ours(f"avgpool{rank}d", [x], **{"global": True})[0], in_onnx_runtime("GlobalAveragePool", [x])[0]
    )
    assert_close(
        in_ours(f"maxpool{rank}d", [x], **{"global": True})[0], in_onnx_runtime("GlobalMaxPool", [x])[0], 0.0
    )


def test_channels_last_is_the_same_pool() -> None:
    x = normal(2, 3, 9, 8)
    attrs = {"kernel": (3, 2), "stride": (2, 2), "pads": (1, 0, 0, 1)}
    for kind in ("avgpool2d", "maxpool2d"):
        first = in_ours(kind, [x], **attrs)[0]
        last = in_ours(kind, [x.transpose(0, 2, 3, 1)], layout="NHWC", **attrs)[0]
        assert np.array_equal(first, last.transpose(0, 3, 1, 2))


def half_up(position: int) -> QuantSpec:
    return QuantSpec.power_of_two(INT8, position, Rounding.HALF_UP)


def test_the_published_average_pool() -> None:
    """3x3, stride 1, pad 1, rows 1..9: sums times 7 / 64 (runtime fact sheet, 2.14)."""
    x = IntTensor.of(np.arange(1, 10).reshape(1, 1, 3, 3), 1.0)
    op = make_op("avgpool2d", kernel=(3, 3), pads=(1, 1, 1, 1), dpu_factor=(7, 6))
    result = spec("avgpool2d").integer(op, [x])
    assert result is not None
    assert result[0].data[0, 0].tolist() == [[84, 147, 112], [189, 315, 231], [168, 273, 196]]
    assert requantize(result[0], half_up(0)).data[0, 0].tolist() == [[1, 2, 2], [3, 5, 4], [3, 4, 3]]


@pytest.mark.parametrize(("total", "expected"), [(1500, 31), (-1512, -31)])
def test_the_published_global_average(total: int, expected: int) -> None:
    """7x7 with 21 / 1024 (2.7)."""
    x = np.full((1, 1, 7, 7), total // 49)
    x[0, 0, 0, 0] += total - int(x.sum())
    op = make_op("avgpool2d", **{"global": True, "dpu_factor": (21, 10)})
    result = spec("avgpool2d").integer(op, [IntTensor.of(x, 1.0)])
    assert result is not None and requantize(result[0], half_up(0)).data.item() == expected
    real = in_ours("avgpool2d", [x.astype(np.float32)], **{"global": True, "dpu_factor": (21, 10)})
    assert real[0].item() == np.float32(total * 21 / 1024)


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("zero_point", [0, 7])
@pytest.mark.parametrize("shift", [-3, 0, 2])
def test_integer_average_is_the_exact_ratio_rounded_once(include: bool, zero_point: int, shift: int) -> None:
    x = np.random.default_rng(shift + 9).integers(-128, 128, (2, 3, 7, 6))
    attrs = {"kernel": (3, 3), "stride": (2, 2), "pads": (1, 1, 1, 1), "count_include_pad": include}
    result = spec("avgpool2d").integer(make_op("avgpool2d", **attrs), [IntTensor.of(x, 1.0, zero_point)])
    assert result is not None
    rounded = requantize(result[0], half_up(-shift)).data
    for n, c, i, j in np.ndindex(*rounded.shape):
        rows, columns = (slice(max(0, 2 * k - 1), 2 * k + 2) for k in (i, j))
        window = [int(v) - zero_point for v in x[n, c, rows, columns].reshape(-1)]
        exact = Fraction(sum(window), 9 if include else len(window)) / Fraction(2) ** shift
        assert rounded[n, c, i, j] == max(-128, min(127, (2 * exact + 1) // 2))


def test_integer_max_ignores_padding() -> None:
    """All-negative windows keep their maximum (2.7)."""
    x = IntTensor.of(np.full((1, 1, 4, 4), -5), 0.5)
    result = spec("maxpool2d").integer(make_op("maxpool2d", kernel=(3, 3), pads=(1, 1, 1, 1)), [x])
    assert result is not None and (result[0].data == -5).all() and result[0].scale == 0.5


def test_shape_of_unknown_and_symbolic_inputs() -> None:
    op = make_op("maxpool2d", kernel=(2, 2), stride=(2, 2))
    assert spec("maxpool2d").infer(op, [Value("x", None)]) == [(None, "float32")]
    assert spec("maxpool2d").infer(op, [Value("x", ("b", 3, "h", 8))]) == [(("b", 3, None, 4), "float32")]


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"Q0404 the maxpool2d: found an input of shape .* expected 4 axes"):
        spec("maxpool2d").infer(make_op("maxpool2d", kernel=(2, 2)), [Value("x", (1, 2, 3))])
    with pytest.raises(InputError, match=r"Q0404 the maxpool2d: .*at least one whole window"):
        in_ours("maxpool2d", [normal(1, 1, 2, 2)], kernel=(3, 3))
    with pytest.raises(InputError, match=r"Q0405 the maxpool2d: .*without attribute kernel"):
        in_ours("maxpool2d", [normal(1, 1, 2, 2)])


def test_sums_beyond_62_bits_have_no_integer_form() -> None:
    huge = IntTensor.of(np.full((1, 1, 2, 2), 2**61), 1.0)
    assert spec("avgpool2d").integer(make_op("avgpool2d", kernel=(2, 2)), [huge]) is None
    large = IntTensor.of(np.full((1, 1, 1, 1), 2**61), 1.0)
    assert spec("avgpool2d").integer(make_op("avgpool2d", kernel=(1, 1), dpu_factor=(7, 6)), [large]) is None

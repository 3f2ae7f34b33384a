from collections.abc import Mapping

import numpy as np
import pytest

from quantforge.graph import Array, Graph, Op, QuantSpec, Value
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.quantization.channel_statistics import (
    add_channel_sums,
    channel_axis,
    channel_statistics,
    channel_sums_reference,
    token_weights,
)


class Given:
    """A session that returns what it is fed."""

    def run(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        return feeds


def one_value(shape: tuple[int, ...], spec: QuantSpec, kind: str = "relu") -> Graph:
    values = [
        Value("x", shape, quant=spec),
        Value("w", (1,), const=np.ones(1, np.float32)),
        Value("y", shape),
    ]
    return Graph("net", values, [Op(kind, "op", ("x", "w"), ("y",))], ["x"], ["y"])


@pytest.mark.parametrize("rounding", Rounding, ids=str)
@pytest.mark.parametrize(
    ("shape", "kind", "axis"),
    [
        ((8, 5), "relu", 1),
        ((8, 5, 3, 4), "conv2d", 1),
        ((8, 6, 5), "inner-product", 2),
        ((8, 5, 6), "conv1d", 1),
    ],
)
def test_statistics_are_those_of_numpy(
    rounding: Rounding, shape: tuple[int, ...], kind: str, axis: int
) -> None:
    spec = QuantSpec.power_of_two(INT8, 1, rounding)
    x = np.random.default_rng(0).normal(1.0, 1.0, size=shape).astype(np.float32)
    graph = one_value(shape, spec, kind)
    assert channel_axis(graph, "x", len(shape)) == axis
    found = channel_statistics(graph, Given(), [{"x": x}, {"x": x[:4]}])["x"]
    both = np.concatenate([x, x[:4]])
    others = tuple(place for place in range(x.ndim) if place != axis)
    stored = fake_quantize_value(both, spec)
    np.testing.assert_allclose(found.mean, both.mean(axis=others), rtol=1e-5)
    np.testing.assert_allclose(found.offset, (stored - both).mean(axis=others), atol=1e-5)
    np.testing.assert_allclose(found.positive, (both > 0).mean(axis=others))


def test_values_without_a_spec_or_channels_have_none() -> None:
    graph = one_value((4,), QuantSpec.power_of_two(INT8, 1))
    feeds = {"x": np.ones(4, np.float32), "y": np.ones((4, 2), np.float32)}
    assert channel_statistics(graph, Given(), [feeds]) == {}


def test_the_fast_kernel_equals_its_definition() -> None:
    rows = np.random.default_rng(0).normal(0, 3, size=(4, 5, 33)).astype(np.float32)
    spec = QuantSpec.power_of_two(INT8, 5)
    sums = np.zeros((3, 5))
    add_channel_sums(rows, np.float32(spec.scale[0]), np.float32(-128), np.float32(127), sums)
    np.testing.assert_allclose(
        sums, channel_sums_reference(rows, fake_quantize_value(rows, spec)), rtol=1e-6, atol=1e-4
    )


def test_tokens_that_reach_far_count_less() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, size=(2, 4, 64)).astype(np.float32)
    np.testing.assert_array_equal(token_weights(x), np.ones(8))
    x[1, 3] *= 40.0
    weights = token_weights(x)
    assert weights.mean() == pytest.approx(1.0) and weights[:7].min() == weights[:7].max()
    assert weights[7] / weights[0] == pytest.approx((2 / 40) ** 2, rel=0.2)
    graph = one_value((2, 4, 64), QuantSpec.power_of_two(INT8, 0), "inner-product")
    found = channel_statistics(graph, Given(), [{"x": x}])["x"]
    usual = x.reshape(8, 64)[:7].mean(axis=0)
    assert np.abs(found.mean - usual).max() < 0.2 < np.abs(x.mean(axis=(0, 1)) - usual).max()


@pytest.mark.parametrize("array", [np.zeros((1, 3, 2)), np.full((1, 3, 2), np.inf), np.zeros((0, 3, 2))])
def test_where_no_token_is_usual_all_count_alike(array: Array) -> None:
    np.testing.assert_array_equal(token_weights(array), np.ones(array.size // 2))

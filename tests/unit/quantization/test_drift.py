"""Where drifts go: each operator against what it does to means."""

from typing import Any

import numpy as np
import pytest

from quantforge.graph import Graph, Op, QuantSpec, Value
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.quantization.channel_statistics import ChannelStatistics, Means
from quantforge.quantization.drift import LEAST_SHARE, Drifts

UP = Rounding.HALF_UP


class Drawn:
    """A graph drawn op by op whose values have statistics and positions of one's choice."""

    def __init__(self) -> None:
        self.graph = Graph("net")
        self.statistics: dict[str, ChannelStatistics] = {}

    def value(
        self,
        name: str,
        shape: tuple[Any, ...],
        offset: list[float] | None = None,
        position: int | None = None,
        positive: float = 1.0,
        mean: float = 0.0,
    ) -> str:
        spec = None if position is None else QuantSpec.power_of_two(INT8, position, UP)
        self.graph.set_value(Value(name, shape, quant=spec))
        if offset is not None:
            row = np.array(offset, np.float64)
            self.statistics[name] = ChannelStatistics(
                np.full_like(row, mean), row, np.full_like(row, positive)
            )
        return name

    def op(self, kind: str, inputs: tuple[str, ...], outputs: tuple[str, ...], **attrs: Any) -> Op:
        return self.graph.add_op(Op(kind, f"op{len(self.graph.ops)}", inputs, outputs, attrs))

    def drifts(self, *inputs: str) -> Drifts:
        self.graph.inputs = inputs
        return Drifts(self.graph, self.statistics)


def passed(drawn: Drawn, op: Op) -> list[Means]:
    return drawn.drifts("x").passed(op)


def image(channels: int = 3) -> Drawn:
    drawn = Drawn()
    drawn.value("x", ("batch", channels, 4, 4), [1.0, 2.0, 3.0][:channels], 8)
    return drawn


@pytest.mark.parametrize(
    ("kind", "attrs", "shape", "expected"),
    [
        ("pad", {"pads": (0, 2, 0, 0, 0, 1, 0, 0)}, ("batch", 6, 4, 4), [0, 0, 1, 2, 3, 0]),
        ("strided-slice", {"begin": (1,), "end": (3,), "axes": (1,)}, ("batch", 2, 4, 4), [2, 3]),
        (
            "strided-slice",
            {"begin": (0,), "end": (4,), "axes": (2,), "strides": (2,)},
            ("batch", 3, 2, 4),
            [1, 2, 3],
        ),
        ("flatten", {}, ("batch", 48), np.repeat([1.0, 2.0, 3.0], 16)),
        ("reshape", {"shape": (-1, 12, 2, 2)}, ("batch", 12, 2, 2), np.repeat([1.0, 2.0, 3.0], 4)),
        ("maxpool2d", {"kernel": (2, 2), "stride": (2, 2)}, ("batch", 3, 2, 2), [1, 2, 3]),
        ("avgpool2d", {"kernel": (2, 2), "stride": (2, 2)}, ("batch", 3, 2, 2), [1, 2, 3]),
        ("resize", {"mode": "nearest", "scales": (1.0, 1.0, 2.0, 2.0)}, ("batch", 3, 8, 8), [1, 2, 3]),
        ("identity", {}, ("batch", 3, 4, 4), [1, 2, 3]),
        ("sigmoid", {}, ("batch", 3, 4, 4), [0]),
    ],
)
def test_what_moves_data_moves_drifts(kind: str, attrs: Any, shape: Any, expected: Any) -> None:
    drawn = image()
    found = passed(drawn, drawn.op(kind, ("x",), (drawn.value("y", shape),), **attrs))
    np.testing.assert_allclose(found[0], expected)


def test_a_join_and_a_split() -> None:
    drawn = image(2)
    drawn.graph.set_value(Value("k", (1, 1, 4, 4), const=np.full((1, 1, 4, 4), 9, np.float32)))
    drawn.value("z", ("batch", 2, 4, 4), [5.0, 6.0], 8)
    join = drawn.op("concat", ("x", "k", "z"), (drawn.value("y", ("batch", 5, 4, 4)),), axis=1)
    drifts = drawn.drifts("x", "z")
    np.testing.assert_allclose(drifts.passed(join)[0], [1, 2, 0, 5, 6])
    drifts.keep(join, drifts.passed(join))
    halves = [drawn.value(name, ("batch", size, 4, 4)) for name, size in (("a", 2), ("b", 3))]
    split = drawn.op("split", ("y",), tuple(halves), axis=1, sizes=(2, 3))
    np.testing.assert_allclose(np.concatenate(drifts.passed(split)), [1, 2, 0, 5, 6])


def test_an_unknown_size_passes_nothing_on() -> None:
    drawn = Drawn()
    drawn.value("x", ("batch", 3, None, 4), [1.0, 2.0, 3.0], 8)
    op = drawn.op("pad", ("x",), (drawn.value("y", None),), pads=(0,) * 8)  # type: ignore[arg-type]
    assert passed(drawn, op)[0].tolist() == [0.0]


@pytest.mark.parametrize(
    ("kind", "attrs", "factor"), [("relu", {}, 0.25), ("leaky-relu", {"alpha": 0.1}, 0.25 + 0.75 * 0.1)]
)
def test_an_activation_passes_its_share(kind: str, attrs: Any, factor: float) -> None:
    drawn = image()
    out = drawn.value("y", ("batch", 3, 4, 4), [0.0, 0.0, 0.0], 8, positive=0.25)
    found = passed(drawn, drawn.op(kind, ("x",), (out,), **attrs))
    np.testing.assert_allclose(found[0], np.array([1.0, 2.0, 3.0]) * factor)


def test_a_factor_in_place_of_one_over_n_scales_the_mean() -> None:
    drawn = Drawn()
    drawn.value("x", (1, 2, 6, 6), [1.0, 2.0], 8, mean=10.0)
    out = drawn.value("y", (1, 2, 2, 2))
    found = passed(drawn, drawn.op("avgpool2d", ("x",), (out,), kernel=(3, 3), dpu_factor=(7, 6)))
    ratio = 9 * 7 / 64
    np.testing.assert_allclose(found[0], ratio * np.array([11.0, 12.0]) - 10.0)


@pytest.mark.parametrize(("fine", "rise"), [(3, 0.0), (4, 1 / 32), (5, 1 / 64)])
def test_ties_of_a_sum(fine: int, rise: float) -> None:
    """Half a unit of the last bit that is dropped, in the share that a relu lets through."""
    drawn = Drawn()
    drawn.value("x", (1, 1, 2, 2), [0.0], fine)
    drawn.value("z", (1, 1, 2, 2), [0.0], 3)
    out = drawn.value("y", (1, 1, 2, 2), [0.0], 3, positive=0.5)
    drawn.op("eltwise-add", ("x", "z"), (out,))
    assert drawn.drifts("x", "z").storing("y")[0] == pytest.approx(rise)


def test_ties_behind_a_relu_only_above_zero() -> None:
    drawn = Drawn()
    drawn.value("x", (1, 1, 2, 2), [0.0], 4)
    drawn.op("eltwise-add", ("x", "x"), (drawn.value("s", (1, 1, 2, 2)),))
    drawn.op("relu", ("s",), (drawn.value("y", (1, 1, 2, 2), [0.0], 3, positive=0.5),))
    assert drawn.drifts("x").storing("y")[0] == pytest.approx(0.5 / 32)


def residual(positive: float) -> tuple[Drawn, Op]:
    drawn = Drawn()
    drawn.value("x", (1, 1, 2, 2), [0.25], 4)
    conv = drawn.op("conv2d", ("x", "w"), (drawn.value("c", (1, 1, 2, 2), [0.5], 5),))
    drawn.value("w", (1, 1, 1, 1))
    drawn.op("eltwise-add", ("c", "x"), (drawn.value("s", (1, 1, 2, 2)),))
    drawn.op("relu", ("s",), (drawn.value("y", (1, 1, 2, 2), [0.125], 5, positive=positive),))
    return drawn, conv


@pytest.mark.parametrize("positive", [1.0, 0.5, 0.01])
def test_a_layer_that_feeds_a_sum_makes_up_for_it(positive: float) -> None:
    drawn, conv = residual(positive)
    ahead = drawn.drifts("x").behind_sum(conv)
    np.testing.assert_allclose(ahead, 0.5 + 0.25 + 0.125 / max(positive, LEAST_SHARE))


def test_a_layer_that_something_else_reads_does_not() -> None:
    drawn, conv = residual(0.5)
    drawn.op("relu", ("c",), (drawn.value("other", (1, 1, 2, 2)),))
    assert drawn.drifts("x").behind_sum(conv).tolist() == [0.0]


def test_the_last_operand_of_a_sum_makes_up_for_all() -> None:
    drawn = Drawn()
    drawn.value("x", (1, 1, 2, 2), [0.25], 4)
    first = drawn.op("conv2d", ("x", "w"), (drawn.value("a", (1, 1, 2, 2), [0.5], 5),))
    second = drawn.op("conv2d", ("x", "w"), (drawn.value("b", (1, 1, 2, 2), [0.5], 5),))
    drawn.value("w", (1, 1, 1, 1))
    drawn.op("eltwise-add", ("a", "b"), (drawn.value("y", (1, 1, 2, 2), [0.0], 5),))
    drifts = drawn.drifts("x")
    assert drifts.behind_sum(first).tolist() == [0.0]
    drifts.keep(first, [np.zeros(1)])
    np.testing.assert_allclose(drifts.behind_sum(second), [1.0])

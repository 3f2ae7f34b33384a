from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.graph import Graph, QuantSpec, Value
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.ops.interpreter import Interpreter
from quantforge.passes.dpu_averages import MEANS, POOLS, dpu_averages
from tests.networks import Net


def pool(kernel: tuple[int, ...], size: int = 8, **attrs: Any) -> Graph:
    net = Net(2, size)
    return net.done(net.add("avgpool2d", "p", ("x",), kernel=kernel, **attrs))


def factor_of(graph: Graph) -> Any:
    return dpu_averages(graph).graph.ops[0].attrs.get("dpu_factor")


@pytest.mark.parametrize(
    ("kernel", "factor"),
    [
        ((3, 3), (7, 6)),
        ((5, 5), (10, 8)),
        ((6, 6), (7, 8)),
        ((7, 7), (21, 10)),
        ((2, 2), (1, 2)),
        ((3, 6), (57, 10)),
    ],
)
def test_the_factor_of_a_window(kernel: tuple[int, int], factor: tuple[int, int]) -> None:
    result = dpu_averages(pool(kernel))
    assert result.graph.ops[0].attrs["dpu_factor"] == factor
    assert result.graph.ops[0].origin.made_by == "dpu-averages"
    assert result.changed == ("p",) and f"{factor[0]}/{1 << factor[1]}" in result.notes[0].text


@given(st.integers(1, 16), st.integers(1, 16))
def test_a_factor_is_near_the_share_of_one_element(height: int, width: int) -> None:
    numerator, shift = factor_of(pool((height, width), 16))
    share = Fraction(1, height * width)
    exact = share.denominator & (share.denominator - 1) == 0
    off = abs(Fraction(numerator, 1 << shift) / share - 1)
    special = (height, width) in ((3, 3), (5, 5), (6, 6))
    assert off == 0 if exact else off <= (Fraction(1, 40) if special else Fraction(1, 128))


def test_global_pools_and_means_have_the_window_of_the_image() -> None:
    assert factor_of(pool((1, 1), 7, **{"global": True})) == (21, 10)
    net = Net(2, 3)
    assert factor_of(net.done(net.add("reduction-mean", "m", ("x",), axes=(-1, 2)))) == (7, 6)


def test_lines_are_images_of_height_one() -> None:
    net = Net()
    net.graph.set_value(Value("line", (1, 2, 9)))
    assert factor_of(net.done(net.add("avgpool1d", "p", ("line",), kernel=(3,)))) == (85, 8)


@pytest.mark.parametrize(
    ("attrs", "reason"),
    [
        ({"pads": (1, 1, 1, 1)}, "padding"),
        ({"stride": (2, 2), "ceil_mode": True}, "beyond"),
    ],
)
def test_what_a_dpu_would_compute_otherwise_stays_and_is_said(attrs: Any, reason: str) -> None:
    result = dpu_averages(pool((3, 3), **attrs))
    assert "dpu_factor" not in result.graph.ops[0].attrs
    assert not result.notes[0].done and reason in result.notes[0].text


def test_ceil_mode_that_adds_no_window_makes_no_difference() -> None:
    assert factor_of(pool((3, 3), 9, stride=(2, 2), ceil_mode=True)) == (7, 6)
    assert factor_of(pool((3, 3), pads=(1, 1, 1, 1), count_include_pad=True)) == (7, 6)


def test_means_over_other_axes_and_open_sizes_stay() -> None:
    net = Net()
    graph = net.done(net.add("reduction-mean", "m", ("x",), axes=(1,)))
    assert factor_of(graph) is None
    graph = pool((1, 1), **{"global": True})
    graph.set_value(Value("x", ("batch", 2, "height", 8)))
    assert factor_of(graph) is None and not dpu_averages(graph).notes[0].done


def test_float_operators_and_given_factors_are_left_alone() -> None:
    assert dpu_averages(pool((3, 3)), {"p"}).notes == ()
    assert dpu_averages(pool((3, 3), dpu_factor=(1, 3))).notes == ()


@given(st.integers(0, 2**32 - 1), st.sampled_from([(3, 3), (2, 3), (5, 5), (7, 7), (2, 2)]))
def test_it_computes_the_integers_of_the_hardware(seed: int, kernel: tuple[int, int]) -> None:
    spec = QuantSpec.power_of_two(INT8, 4, Rounding.HALF_UP)
    graph = dpu_averages(pool(kernel, 8)).graph
    for name in ("x", "p.out"):
        graph.set_value(replace(graph.value(name), quant=spec))
    x = np.random.default_rng(seed).integers(-128, 128, (1, 2, 8, 8))
    found = Interpreter().session(graph, ["p.out"]).run({"x": (x / 16).astype(np.float32)})["p.out"]
    numerator, shift = graph.ops[0].attrs["dpu_factor"]  # type: ignore[misc]
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(2, 3)).sum(axis=(-2, -1))
    whole = (windows * numerator + (1 << (shift - 1))) >> shift
    np.testing.assert_array_equal(found * 16, np.clip(whole, -128, 127))


def test_only_the_kinds_that_are_asked_for() -> None:
    assert dpu_averages(pool((3, 3)), kinds=MEANS).notes == ()
    assert dpu_averages(pool((3, 3)), kinds=POOLS).changed == ("p",)

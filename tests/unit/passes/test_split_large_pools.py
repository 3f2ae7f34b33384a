from __future__ import annotations

import pytest

from quantforge.passes.split_large_pools import large_window, split_large_pools
from tests.unit.frontends.onnx.text_models import random

from .onnx_nets import kinds, net, same

GLOBAL = "y = GlobalAveragePool (x)"


@pytest.mark.parametrize(("side", "first", "second"), [(40, 5, 8), (32, 4, 8), (56, 7, 8)])
def test_a_global_pool_becomes_two(side: int, first: int, second: int) -> None:
    graph = net(GLOBAL, f"1,2,{side},{side}", "1,2,1,1")
    result = split_large_pools(graph)
    inner, outer = result.graph.ops
    assert kinds(result.graph) == ["avgpool2d", "avgpool2d"]
    assert inner.attrs["kernel"] == inner.attrs["stride"] == (first, first) and inner.name == "x_Split"
    assert outer.attrs["global"] and outer.attrs["kernel"] == (second, second)
    assert result.graph.value("x_Split").shape == (1, 2, second, second)
    assert inner.origin.made_by == "split-large-pools" and "made" in result.notes[0].text
    same(graph, result.graph, random(1, 2, side, side))
    assert split_large_pools(result.graph).changed == (), "nothing is left to do"


def test_windows_that_tile_the_image_are_split_too() -> None:
    graph = net("y = AveragePool <kernel_shape = [24, 24], strides = [24, 24]> (x)", "1,2,48,72", "1,2,2,3")
    result = split_large_pools(graph)
    assert [op.attrs["stride"] for op in result.graph.ops] == [(4, 4), (6, 6)]
    same(graph, result.graph, random(1, 2, 48, 72))


@pytest.mark.parametrize(
    ("body", "side", "why"),
    [
        (GLOBAL, 23, "has no two windows of up to 512"),
        (
            "y = AveragePool <kernel_shape = [24, 24], strides = [12, 12]> (x)",
            48,
            "overlap or leave the image",
        ),
        (
            "y = AveragePool <kernel_shape = [24, 24], strides = [24, 24], pads = [4, 4, 4, 4]> (x)",
            48,
            "overlap or leave the image",
        ),
    ],
)
def test_what_cannot_be_split_is_noted(body: str, side: int, why: str) -> None:
    graph = net(body, f"1,2,{side},{side}", "1,2,a,b")
    result = split_large_pools(graph)
    assert result.changed == () and why in result.notes[0].text and not result.notes[0].done
    assert kinds(result.graph) == ["avgpool2d"]


def test_small_windows_and_named_pools_stay() -> None:
    small = net(GLOBAL, "1,2,22,22", "1,2,1,1")
    assert large_window(small, small.ops[0]) is None
    assert split_large_pools(small).notes == ()
    assert split_large_pools(net(GLOBAL, "1,2,h,40", "1,2,1,1")).notes == (), "of an open size"
    large = net(GLOBAL, "1,2,40,40", "1,2,1,1")
    assert large_window(large, large.ops[0]) == (40, 40)
    assert split_large_pools(large, lambda op: True).changed == ()

"""Convolutions and pools: attributes, automatic padding, and the lowered form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from quantforge.frontends.onnx import to_proto
from quantforge.graph import Graph

from .text_models import kinds, model, random, round_trip, run


def both(node: str, shape: str = "N,4,9,8", **arrays: Any) -> Graph:
    """Round trip, and the same when every op is written from its attributes."""
    proto = model(f"g (float[{shape}] x) => (y) {{ y = {node} }}", opset=19, ir_version=9, **arrays)
    feeds = {"x": random(*(int(d) if d.isdigit() else 2 for d in shape.split(",")))}
    graph = round_trip(proto, feeds)
    lowered = graph.copy()
    for op in graph.ops:
        lowered.replace_op(replace(op, origin=replace(op.origin, native=None)))
    for a, b in zip(run(proto, feeds), run(to_proto(lowered), feeds), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    return graph


@pytest.mark.parametrize(
    ("attributes", "kind", "weights"),
    [
        ("", "conv2d", (6, 4, 3, 3)),
        ("<group = 2, strides = [2, 1]>", "conv2d", (6, 2, 3, 3)),
        ("<group = 4>", "depthwise-conv2d", (4, 1, 3, 3)),
        ("<group = 4, dilations = [2, 2]>", "depthwise-conv2d", (8, 1, 3, 3)),
        ('<auto_pad = "SAME_UPPER", strides = [2, 2]>', "conv2d", (6, 4, 3, 3)),
        ('<auto_pad = "SAME_LOWER", strides = [2, 3]>', "conv2d", (6, 4, 2, 4)),
        ('<auto_pad = "VALID">', "conv2d", (6, 4, 1, 1)),
    ],
)
def test_convolutions(attributes: str, kind: str, weights: tuple[int, ...]) -> None:
    assert kinds(both(f"Conv{attributes}(x, w)", w=random(*weights))) == [kind]


def test_same_padding_of_an_unknown_size() -> None:
    node = 'Conv<auto_pad = "SAME_UPPER", strides = [{0}, {0}]>(x, w)'
    assert both(node.format(1), shape="N,4,H,W", w=random(6, 4, 3, 3)).ops[0].attrs["pads"] == (1, 1, 1, 1)
    proto = model(f"g (float[N,4,H,W] x) => (y) {{ y = {node.format(2)} }}", w=random(6, 4, 3, 3))
    assert kinds(round_trip(proto, {"x": random(1, 4, 5, 6)})) == ["opaque"]


@pytest.mark.parametrize(
    ("shape", "weights", "kind", "layouts"),
    [
        ("N,4,9", (6, 4, 3), "conv1d", ("NCW", "OIW")),
        ("N,4,5,6,7", (6, 4, 3, 1, 2), "conv3d", ("NCDHW", "OIDHW")),
    ],
)
def test_other_ranks(shape: str, weights: tuple[int, ...], kind: str, layouts: tuple[str, str]) -> None:
    conv = both("Conv(x, w)", shape, w=random(*weights)).ops[0]
    assert (conv.kind, conv.attrs["layout"], conv.attrs["weight_layout"]) == (kind, *layouts)


@pytest.mark.parametrize(
    ("attributes", "kind", "weights"),
    [
        ("", "transposed-conv2d", (4, 6, 3, 3)),
        (
            "<strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1]>",
            "transposed-conv2d",
            (4, 6, 3, 3),
        ),
        ("<group = 4, strides = [2, 2]>", "transposed-depthwise-conv2d", (4, 1, 2, 2)),
        ("<group = 2>", "transposed-conv2d", (4, 3, 2, 2)),
        ("<strides = [2, 2], output_shape = [18, 16]>", "transposed-conv2d", (4, 6, 3, 3)),
        ('<strides = [2, 2], auto_pad = "SAME_UPPER">', "transposed-conv2d", (4, 6, 3, 3)),
        ('<strides = [2, 2], auto_pad = "SAME_LOWER">', "transposed-conv2d", (4, 6, 3, 3)),
    ],
)
def test_transposed_convolutions(attributes: str, kind: str, weights: tuple[int, ...]) -> None:
    op = both(f"ConvTranspose{attributes}(x, w)", w=random(*weights)).ops[0]
    assert (op.kind, op.attrs["weight_layout"]) == (kind, "IOHW")


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        ("MaxPool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(x)", "maxpool2d"),
        ("MaxPool<kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1>(x)", "maxpool2d"),
        ("MaxPool<kernel_shape = [2, 2], dilations = [2, 2]>(x)", "maxpool2d"),
        ('MaxPool<kernel_shape = [3, 3], strides = [2, 2], auto_pad = "SAME_UPPER">(x)', "maxpool2d"),
        ("AveragePool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x)", "avgpool2d"),
        ("AveragePool<kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1>(x)", "avgpool2d"),
        ("AveragePool<kernel_shape = [2, 2], dilations = [2, 2]>(x)", "avgpool2d"),
        ("GlobalAveragePool(x)", "avgpool2d"),
        ("GlobalMaxPool(x)", "maxpool2d"),
    ],
)
def test_pools(node: str, kind: str) -> None:
    graph = both(node)
    assert kinds(graph) == [kind]
    assert graph.ops[0].attrs["global"] == node.startswith("Global")


def test_a_global_pool_names_its_window_when_known() -> None:
    assert both("GlobalAveragePool(x)").ops[0].attrs["kernel"] == (9, 8)
    assert both("GlobalAveragePool(x)", shape="N,4,H,W").ops[0].attrs["kernel"] == ()


def test_indices_of_a_pool_make_it_opaque() -> None:
    proto = model("g (float[1,1,4,4] x) => (y, i) { y, i = MaxPool<kernel_shape = [2, 2]>(x) }")
    assert kinds(round_trip(proto, {"x": random(1, 1, 4, 4)})) == ["opaque"]


def test_computed_weights_make_a_convolution_opaque() -> None:
    proto = model("g (float[1,2,4,4] x, float[3,2,1,1] w) => (y) { y = Conv(x, w) }")
    assert kinds(round_trip(proto, {"x": random(1, 2, 4, 4), "w": random(3, 2, 1, 1)})) == ["opaque"]

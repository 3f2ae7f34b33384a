from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from tests.unit.frontends.torch.calls import captured, producers, random  # noqa: E402


def test_convolutions() -> None:
    parts = {
        "same": nn.Conv2d(4, 2, (2, 3), padding="same", dilation=(2, 1)),
        "valid": nn.Conv2d(4, 2, 3, padding="valid", stride=2, bias=False),
        "group": nn.Conv2d(4, 6, 3, groups=2, padding=1),
        "depthwise": nn.Conv2d(4, 8, 3, groups=4, padding=(0, 1)),
        "transposed": nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1),
        "spread": nn.ConvTranspose2d(4, 4, 2, stride=2, groups=4),
    }
    calls = [lambda m, x, name=name: getattr(m, name)(x) for name in parts]
    graph = captured(calls, random(2, 4, 8, 8), parts=parts)
    assert producers(graph) == [
        "conv2d", "conv2d", "conv2d", "depthwise-conv2d", "transposed-conv2d", "transposed-depthwise-conv2d"
    ]  # fmt: skip
    assert graph.op("same").attrs["pads"] == (1, 1, 1, 1)
    assert graph.op("transposed").attrs["output_padding"] == (1, 1)
    assert graph.op("depthwise").attrs["group"] == 4


def test_other_ranks() -> None:
    flat = {"one": nn.Conv1d(3, 2, 3, padding=1), "back": nn.ConvTranspose1d(3, 2, 2)}
    graph = captured([lambda m, x: m.one(x), lambda m, x: m.back(x)], random(2, 3, 9), parts=flat)
    assert producers(graph) == ["conv1d", "transposed-conv1d"]
    graph = captured([lambda m, x: m.three(x)], random(2, 2, 4, 4, 4), parts={"three": nn.Conv3d(2, 2, 2)})
    assert producers(graph) == ["conv3d"]


def test_a_computed_kernel_is_left_to_torch() -> None:
    graph = captured([lambda m, x: functional.conv2d(x, x[:1, :, :2, :2] * 1.0)], random(2, 3, 5, 5), batch=2)
    assert producers(graph) == ["opaque"]


def test_pools() -> None:
    calls = [
        lambda m, x: functional.max_pool2d(x, 3, 2, padding=1),
        lambda m, x: functional.max_pool2d(x, 2, ceil_mode=True),
        lambda m, x: functional.avg_pool2d(x, 3, 2, padding=1),
        lambda m, x: functional.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False),
        lambda m, x: functional.avg_pool2d(x, 2, divisor_override=3),
        lambda m, x: functional.adaptive_avg_pool2d(x, 1),
        lambda m, x: functional.adaptive_avg_pool2d(x, (3, 1)),
        lambda m, x: functional.adaptive_avg_pool2d(x, 4),
    ]
    graph = captured(calls, random(2, 3, 9, 9))
    average, largest = "avgpool2d", "maxpool2d"
    assert producers(graph) == [largest, largest, average, average, "opaque", average, average, "opaque"]
    assert graph.op(graph.native.returned[5]).attrs["global"] is True
    assert graph.op(graph.native.returned[6]).attrs["kernel"] == (3, 9)

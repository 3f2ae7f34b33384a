"""A network of the size of ResNet-50 with random weights: 25.5 million parameters, 4.1 GMAC at 224x224.

Batch norms are folded into the convolutions, as exporters do it. Weights are drawn with He's scale
sqrt(2 / fan in); the last convolution of a block is drawn smaller so that the sums over 16 blocks stay in range.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # width and blocks of each stage
EXPANSION = 4
_LAST_OF_BLOCK = 0.3


class _Builder:
    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def op(self, kind: str, inputs: list[str], name: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}_out"], name, **attributes))
        return f"{name}_out"

    def constant(self, name: str, shape: tuple[int, ...], deviation: float) -> str:
        values = self.random.standard_normal(shape, np.float32) * np.float32(deviation)
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def conv(
        self, x: str, name: str, channels: tuple[int, int], kernel: int, stride: int = 1, gain: float = 1.0
    ) -> str:
        from_channels, to_channels = channels
        shape = (to_channels, from_channels, kernel, kernel)
        weights = self.constant(f"{name}.weight", shape, gain * (2 / (from_channels * kernel**2)) ** 0.5)
        bias = self.constant(f"{name}.bias", (to_channels,), 0.1)
        window = {
            "kernel_shape": [kernel, kernel],
            "strides": [stride, stride],
            "pads": [kernel // 2] * 4,
        }
        return self.op("Conv", [x, weights, bias], name, **window)

    def block(self, x: str, name: str, from_channels: int, width: int, stride: int) -> str:
        to_channels = width * EXPANSION
        y = self.op("Relu", [self.conv(x, f"{name}.conv1", (from_channels, width), 1)], f"{name}.relu1")
        y = self.op("Relu", [self.conv(y, f"{name}.conv2", (width, width), 3, stride)], f"{name}.relu2")
        y = self.conv(y, f"{name}.conv3", (width, to_channels), 1, gain=_LAST_OF_BLOCK)
        if from_channels != to_channels or stride != 1:
            x = self.conv(x, f"{name}.downsample", (from_channels, to_channels), 1, stride)
        return self.op("Relu", [self.op("Add", [y, x], f"{name}.add")], f"{name}.relu3")


def build_resnet(
    stages: tuple[tuple[int, int], ...] = STAGES, classes: int = 1000, size: int = 224, seed: int = 0
) -> onnx.ModelProto:
    """Input "input" [batch, 3, size, size], output "output" [batch, classes]; same bytes for the same arguments."""
    build = _Builder(seed)
    channels = stages[0][0]
    x = build.op("Relu", [build.conv("input", "stem", (3, channels), 7, 2)], "stem.relu")
    x = build.op("MaxPool", [x], "stem.pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for stage, (width, blocks) in enumerate(stages):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = build.block(x, f"stage{stage}.block{block}", channels, width, stride)
            channels = width * EXPANSION
    x = build.op("Flatten", [build.op("GlobalAveragePool", [x], "pool")], "flatten", axis=1)
    weights = build.constant("classes.weight", (classes, channels), (1 / channels) ** 0.5)
    bias = build.constant("classes.bias", (classes,), 0.1)
    build.nodes.append(helper.make_node("Gemm", [x, weights, bias], ["output"], "classes", transB=1))
    graph = helper.make_graph(
        build.nodes,
        "resnet",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, size, size])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", classes])],
        build.constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def resnet50(cache: Path) -> Path:
    path = cache / "resnet50-random-0.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        onnx.save(build_resnet(), partial)
        partial.replace(path)
    return path

"""Train the demo's network and write `digits.onnx`. Needs the `torch` and `demo` extras; half a minute.

    python examples/digits/train.py

A stem convolution, three depthwise-separable blocks (the last with a residual addition), average pooling and
a classifier; every convolution is followed by BatchNormalization and ReLU6. The ONNX file is built node by
node from the trained weights, not traced, so that BatchNormalization stays a node of its own (quantforge
folds it) and names read well. Seed and thread count are fixed: the same versions write the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from dataset import Digits, load
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

HERE = Path(__file__).parent
EPOCHS = 60
BATCH = 64
OPSET = 17
# name, input channels, output channels, stride, residual
BLOCKS = (("block1", 16, 32, 1, False), ("block2", 32, 48, 2, False), ("block3", 48, 48, 1, True))


class ConvBnRelu6(nn.Module):
    """Convolution without bias, BatchNorm, ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu6(self.bn(self.conv(x)))


class DigitsNet(nn.Module):
    """Images [n, 1, 8, 8] to logits [n, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBnRelu6(1, 16, 3)
        for name, inputs, outputs, stride, _ in BLOCKS:
            self.add_module(f"{name}_depthwise", ConvBnRelu6(inputs, inputs, 3, stride, groups=inputs))
            self.add_module(f"{name}_pointwise", ConvBnRelu6(inputs, outputs, 1))
        self.classifier = nn.Linear(BLOCKS[-1][2], 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for name, _, _, _, residual in BLOCKS:
            y = self.get_submodule(f"{name}_pointwise")(self.get_submodule(f"{name}_depthwise")(x))
            x = x + y if residual else y
        return self.classifier(x.mean(dim=(2, 3)))


def shift_at_random(images: Tensor, generator: torch.Generator) -> Tensor:
    """Move each image by -1, 0 or 1 pixel each way, filling with background (-1)."""
    padded = nn.functional.pad(images, (1, 1, 1, 1), value=-1.0)
    offsets = torch.randint(0, 3, (len(images), 2), generator=generator).tolist()
    return torch.stack([padded[i, :, dy : dy + 8, dx : dx + 8] for i, (dy, dx) in enumerate(offsets)])


def train(digits: Digits) -> DigitsNet:
    """Train with a fixed seed: Adam, one-cycle learning rate, shifted images."""
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    net = DigitsNet()
    images, labels = torch.from_numpy(digits.images), torch.from_numpy(digits.labels)
    steps = -(-len(images) // BATCH)
    optimizer = torch.optim.Adam(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=EPOCHS * steps)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images), generator=generator).split(BATCH):
            logits = net(shift_at_random(images[chosen], generator))
            loss = nn.functional.cross_entropy(logits, labels[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


class OnnxWriter:
    """Collects nodes and initializers in order."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, array: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def conv_bn_relu6(self, x: str, name: str, module: ConvBnRelu6) -> str:
        conv, bn = module.conv, module.bn
        weight = self.constant(f"{name}/conv.weight", conv.weight.detach().numpy())
        pad, stride = conv.padding[0], conv.stride[0]
        x = self.node(
            "Conv",
            [x, weight],
            f"{name}/conv",
            kernel_shape=list(conv.kernel_size),
            pads=[pad] * 4,
            strides=[stride] * 2,
            group=conv.groups,
        )
        parts = {"scale": bn.weight, "bias": bn.bias, "mean": bn.running_mean, "var": bn.running_var}
        names = [self.constant(f"{name}/bn.{part}", t.detach().numpy()) for part, t in parts.items()]
        x = self.node("BatchNormalization", [x, *names], f"{name}/bn", epsilon=bn.eps)
        return self.node("Clip", [x, "relu6.min", "relu6.max"], f"{name}/relu6")


def to_onnx(net: DigitsNet) -> onnx.ModelProto:
    """The trained network as ONNX: BatchNormalization kept, ReLU6 as Clip, the batch dimension free."""
    writer = OnnxWriter()
    writer.constant("relu6.min", np.float32(0.0))
    writer.constant("relu6.max", np.float32(6.0))
    x = writer.conv_bn_relu6("image", "stem", net.stem)
    for name, _, _, _, residual in BLOCKS:
        y = writer.conv_bn_relu6(x, f"{name}/depthwise", net.get_submodule(f"{name}_depthwise"))
        y = writer.conv_bn_relu6(y, f"{name}/pointwise", net.get_submodule(f"{name}_pointwise"))
        x = writer.node("Add", [x, y], f"{name}/add") if residual else y
    x = writer.node("GlobalAveragePool", [x], "pool")
    x = writer.node("Flatten", [x], "flatten", axis=1)
    weight = writer.constant("classifier.weight", net.classifier.weight.detach().numpy())
    bias = writer.constant("classifier.bias", net.classifier.bias.detach().numpy())
    writer.node("Gemm", [x, weight, bias], "logits", transB=1)
    graph = helper.make_graph(
        writer.nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        writer.initializers,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        graph, producer_name="quantforge examples/digits", opset_imports=opsets, ir_version=8
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def accuracy(net: DigitsNet, digits: Digits) -> float:
    """Share of images whose largest logit is the label."""
    with torch.no_grad():
        answers = net(torch.from_numpy(digits.images)).argmax(1).numpy()
    return float((answers == digits.labels).mean())


def main() -> None:
    """Train, measure, write the model and the calibration images of the quick start."""
    training, test = load()
    net = train(training)
    print(f"accuracy: training {accuracy(net, training):.2%}, test {accuracy(net, test):.2%}")
    onnx.save(to_onnx(net), HERE / "digits.onnx")
    np.save(HERE / "calibration.npy", training.images[:128])
    for path in (HERE / "digits.onnx", HERE / "calibration.npy"):
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

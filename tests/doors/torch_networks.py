"""The template's networks as torch modules; every layer is a module of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.doors.template import Layer, Network


class Add(nn.Module):
    def forward(self, a: Any, b: Any) -> Any:
        return a + b


class Concat(nn.Module):
    def forward(self, *parts: Any) -> Any:
        return torch.cat(parts, 1)


def _convolution(layer: Layer) -> nn.Module:
    outputs, inputs = layer.params["weight"].shape[:2]
    group = outputs if layer.kind == "depthwise" else 1
    return nn.Conv2d(inputs * group, outputs, 3, padding=1, groups=group)


_MAKERS: dict[str, Any] = {
    "conv": _convolution,
    "depthwise": _convolution,
    "batchnorm": lambda layer: nn.BatchNorm2d(len(layer.params["weight"])),
    "relu": lambda layer: nn.ReLU(),
    "add": lambda layer: Add(),
    "concat": lambda layer: Concat(),
    "maxpool": lambda layer: nn.MaxPool2d(2),
    "avgpool": lambda layer: nn.AdaptiveAvgPool2d(1),
    "flatten": lambda layer: nn.Flatten(),
    "linear": lambda layer: nn.Linear(*reversed(layer.params["weight"].shape)),
}
_BUFFERS = {"mean": "running_mean", "variance": "running_var"}


class Template(nn.Module):
    """Runs the layers of a network in order."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.wiring = [(layer.name, layer.inputs) for layer in network.layers]
        for layer in network.layers:
            part = _MAKERS[layer.kind](layer)
            state = {_BUFFERS.get(key, key): torch.from_numpy(data) for key, data in layer.params.items()}
            part.load_state_dict(state, strict=False)
            self.add_module(layer.name, part)

    def forward(self, x: Any) -> Any:
        values = {"x": x}
        for name, inputs in self.wiring:
            values[name] = getattr(self, name)(*(values[source] for source in inputs))
        return values[name]


def to_torch(network: Network) -> nn.Module:
    """The module, in evaluation mode."""
    return Template(network).eval()

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.quantizer import prepared_graph  # noqa: E402
from quantforge.frontends.torch.recipes import dpu_recipe  # noqa: E402
from quantforge.frontends.torch.training.layers import layers_of  # noqa: E402
from quantforge.graph import Graph  # noqa: E402
from tests.unit.frontends.torch.training.networks import images, small  # noqa: E402


def graphs(module: nn.Module, x: torch.Tensor) -> tuple[Graph, Graph]:
    from dataclasses import replace

    captured, recipe = import_module(module, x), dpu_recipe()
    unfolded = prepared_graph(captured, replace(recipe, fold_batch_norm=False)).graph
    return prepared_graph(captured, recipe).graph, unfolded


def folded_alike(module: nn.Module, x: torch.Tensor) -> None:
    folded, unfolded = graphs(module, x)

    def find(name: str) -> torch.Tensor:
        return torch.from_numpy(np.array(unfolded.value(name).const))

    for layer in layers_of(folded, unfolded, module):
        weight, bias = layer.folded(find)
        np.testing.assert_allclose(weight.numpy(), folded.value(layer.weight).const, rtol=2e-6, atol=1e-7)
        if layer.bias is not None:
            assert bias is not None
            np.testing.assert_allclose(bias.numpy(), folded.value(layer.bias).const, rtol=1e-5, atol=1e-6)


def test_layers_fold_as_the_pass_does() -> None:
    folded_alike(small(), images(1))


def test_layers_know_what_their_normalizations_say() -> None:
    module = small()
    first, second, last = layers_of(*graphs(module, images(1)), module)
    assert first.norm is not None and second.norm is not None and last.norm is None
    assert (first.own_bias, second.own_bias) == (None, "conv2.bias")
    assert (first.norm.momentum, second.norm.momentum) == (0.1, 0.3)
    assert second.norm.counter == "bn2.num_batches_tracked"
    assert (last.own_weight, last.bias, last.norm) == ("fc.weight", "fc.bias", None)


class Odd(nn.Module):
    """A normalization of an input, one behind a transposed convolution, one channel that never varied."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.up = nn.BatchNorm2d(3), nn.ConvTranspose2d(3, 5, 2, stride=2)
        self.second = nn.BatchNorm2d(5)
        for norm in (self.first, self.second):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.uniform_(norm.bias)
            nn.init.uniform_(norm.running_mean)
        self.second.running_var[2] = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.up(self.first(x)))


def test_normalizations_that_become_layers_and_channels_that_are_constant() -> None:
    module, x = Odd().eval(), torch.randn(1, 3, 6, 6)
    folded_alike(module, x)
    first, second = layers_of(*graphs(module, x), module)
    assert first.own_weight is None and first.norm is not None
    assert second.norm is not None and second.norm.constant == (2,)

"""The weighted operators of a graph that trains: where each takes its weights, its bias and its normalization from.

    frozen:    W' = k W,  b' = beta + k (b - mean),  k = gamma / sqrt(variance + epsilon) per output channel
    training:  the same with the mean and variance of the batch in b', and the output of the convolution times
               sqrt(variance + epsilon) / sqrt(variance of the batch + epsilon), while W' keeps to the running ones

so that weights are quantized as they will be deployed while the batch normalizes as in training of the float model.
Channels that did not vary in training are constants (k = 0), as `passes.fold_batch_norm` has it.
Source: Krishnamoorthi, Quantizing deep convolutional networks, 2018, section 3.2.2 (correction and freezing).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from quantforge.graph import Graph, Op
from quantforge.ops.channels import WEIGHTED, output_channel_axis

Find = Callable[[str], torch.Tensor]


@dataclass(frozen=True)
class Norm:
    """A batch normalization folded into a layer: names of its tensors, and how it tracks statistics."""

    gamma: str
    beta: str
    mean: str
    variance: str
    epsilon: float
    momentum: float | None  # None: the average over all batches
    counter: str | None  # of batches seen
    constant: tuple[int, ...]  # channels that are constants


@dataclass(frozen=True)
class Layer:
    """One weighted operator.

    Attributes:
        op: Its name.
        weight: Name of its weights in the folded graph.
        bias: Name of its bias there; None without one.
        own_weight: Name of the user's weights; None for a normalization that became a layer of its own.
        own_bias: Name of the user's bias; None without one.
        norm: The normalization that was folded into it.
        axis: Axis of the weights that counts output channels.
    """

    op: str
    weight: str
    bias: str | None
    own_weight: str | None
    own_bias: str | None
    norm: Norm | None
    axis: int

    def folded(self, find: Find) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Weights and bias as they are deployed, before quantization."""
        bias = None if self.own_bias is None else find(self.own_bias)
        if self.norm is None:
            return find(self.weight if self.own_weight is None else self.own_weight), bias
        k, mean = factor(self.norm, find), find(self.norm.mean)
        shift = -mean if bias is None else bias - mean
        return self.scaled(k, find), find(self.norm.beta) + k * shift

    def scaled(self, k: torch.Tensor, find: Find) -> torch.Tensor:
        """The weights times `k` per output channel."""
        if self.own_weight is None:
            return k.reshape(-1, 1, 1, 1)
        weight = find(self.own_weight)
        shape = [1] * weight.ndim
        shape[self.axis] = -1
        return weight * k.reshape(shape)


def factor(norm: Norm, find: Find) -> torch.Tensor:
    """k per channel, by the running variance."""
    k = find(norm.gamma) * torch.rsqrt(find(norm.variance) + norm.epsilon)
    if not norm.constant:
        return k
    alive = torch.ones_like(k)
    alive[list(norm.constant)] = 0.0
    return k * alive


def layers_of(folded: Graph, unfolded: Graph, module: nn.Module) -> tuple[Layer, ...]:
    """The layers of a graph whose normalizations are folded, by the same graph before that."""
    return tuple(
        _layer(op, folded, unfolded, module)
        for op in folded.ops
        if op.kind in WEIGHTED and folded.const(op, 1) is not None
    )


def _layer(op: Op, folded: Graph, unfolded: Graph, module: nn.Module) -> Layer:
    before = unfolded.op(op.name)
    bias = op.inputs[2] if len(op.inputs) > 2 and op.inputs[2] else None
    axis = output_channel_axis(op) or 0
    if before.kind == "batchnorm":
        return Layer(op.name, op.inputs[1], bias, None, None, float_norm(before, module), 0)
    own_bias = before.inputs[2] if len(before.inputs) > 2 and before.inputs[2] else None
    readers = unfolded.consumers(before.outputs[0])
    norm = None
    if before.outputs != op.outputs and len(readers) == 1 and readers[0].kind == "batchnorm":
        norm = float_norm(readers[0], module, _constant_channels(op, before, folded, unfolded, axis))
    return Layer(op.name, op.inputs[1], bias, before.inputs[1], own_bias, norm, axis)


def _constant_channels(op: Op, before: Op, folded: Graph, unfolded: Graph, axis: int) -> tuple[int, ...]:
    """The channels whose weights folding made zero."""
    after, own = folded.const(op, 1), unfolded.const(before, 1)
    if after is None or own is None:
        return ()
    others = tuple(i for i in range(own.ndim) if i != axis)
    return tuple(int(i) for i in np.flatnonzero(~np.any(after, axis=others) & np.any(own, axis=others)))


def float_norm(op: Op, module: nn.Module, constant: tuple[int, ...] = ()) -> Norm:
    """The normalization `op`, which tracks statistics as the user's `module` says."""
    gamma, beta, mean, variance = op.inputs[1:5]
    owner: Any = _owner(module, mean)
    momentum = getattr(owner, "momentum", 0.1)
    counter = f"{mean.rpartition('.')[0]}.num_batches_tracked".lstrip(".")
    counted = getattr(owner, "num_batches_tracked", None) is not None
    epsilon = float(op.attrs["epsilon"])  # type: ignore[arg-type]
    return Norm(gamma, beta, mean, variance, epsilon, momentum, counter if counted else None, constant)


def _owner(module: nn.Module, name: str) -> nn.Module | None:
    """The module that holds the tensor called `name`."""
    path = name.rpartition(".")[0]
    return dict(module.named_modules()).get(path)

"""Normalization by the statistics of a batch, in a graph whose normalizations are folded; see `layers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from quantforge.frontends.torch.training.layers import Find, Layer, Norm, factor

Store = Callable[[str, torch.Tensor], torch.Tensor]


def normalized(x: torch.Tensor, norm: Norm, find: Find, by_batch: bool) -> torch.Tensor:
    """A normalization that stands alone; by the batch it updates the running statistics."""
    momentum = _count(norm, find) if by_batch else 0.0
    return functional.batch_norm(
        x,
        find(norm.mean),
        find(norm.variance),
        find(norm.gamma),
        find(norm.beta),
        by_batch,
        momentum,
        norm.epsilon,
    )


def normalized_batch(
    x: torch.Tensor, layer: Layer, step: Any, find: Find, store: Store, sizes: Mapping[str, int]
) -> torch.Tensor:
    """What a weighted operator and the normalization folded into it give for a batch in training.

    Args:
        x: The operator's input.
        layer: Its parameters; `layer.norm` is not None.
        step: Runs the operator.
        find: Parameters by name.
        store: Quantizes weights or a bias, by the name of the folded constant.
        sizes: Symbolic sizes of the batch.
    """
    norm = layer.norm
    if norm is None:
        raise ValueError(f"{layer.op} has no normalization")
    plain = x if layer.own_weight is None else step.run([x, find(layer.own_weight), None], sizes)
    axis = 1 if plain.ndim > 2 else plain.ndim - 1
    mean, variance = _statistics(plain, axis)
    bias = None if layer.own_bias is None else find(layer.own_bias)
    _update(norm, find, mean if bias is None else mean + bias, variance, plain.numel() // mean.numel())
    weight = store(layer.weight, layer.scaled(factor(norm, find), find))
    deviation = torch.sqrt(variance + norm.epsilon)
    ratio = torch.sqrt(find(norm.variance) + norm.epsilon) / deviation
    shift = find(norm.beta) - find(norm.gamma) * mean / deviation
    if bias is not None:
        shift = (
            shift + 0.0 * bias
        )  # the batch's mean takes it out; its gradient is zero, as in torch, and not absent
    if layer.bias is not None:
        shift = store(layer.bias, shift)
    shape = [1] * plain.ndim
    shape[axis] = -1
    out = step.run([x, weight, None], sizes)
    return torch.addcmul(shift.reshape(shape).to(out.dtype), out, ratio.reshape(shape).to(out.dtype))


def _statistics(x: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance per channel, float32."""
    others = [i for i in range(x.ndim) if i != axis]
    variance, mean = torch.var_mean(x.to(torch.float32), others, correction=0)
    return mean, variance


def _update(norm: Norm, find: Find, mean: torch.Tensor, variance: torch.Tensor, count: int) -> None:
    """Move the running statistics; the variance is the unbiased one, as torch has it."""
    with torch.no_grad():
        momentum = _count(norm, find)
        find(norm.mean).lerp_(mean, momentum)
        find(norm.variance).lerp_(variance * (count / max(count - 1, 1)), momentum)


def _count(norm: Norm, find: Find) -> float:
    """Count a batch; the weight of its statistics."""
    if norm.counter is not None:
        find(norm.counter).add_(1)
        if norm.momentum is None:
            return 1.0 / float(find(norm.counter))
    return 0.1 if norm.momentum is None else norm.momentum

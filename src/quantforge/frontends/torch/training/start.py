"""Where training begins: at the result of calibration, not at float.

Calibration equalizes channels, chooses positions and corrects biases. It works on the folded graph; the parameters
that train are the user's, in front of folding. A layer whose weights became R W' (element by element) and whose
channels were scaled by a, so that b' became a b' + c, takes that as

    W <- R W,  gamma <- a gamma,  mean <- a mean,  variance + epsilon <- a^2 (variance + epsilon),  beta <- a beta + c

which folds to the same, and normalizes batches as before. Fine-tuning moves weights freely; then k = gamma /
sqrt(variance + epsilon) stays, and W <- W'' / k, beta <- beta + b'' - b'.
"""

from __future__ import annotations

import numpy as np
import torch

from quantforge.frontends.torch.training.layers import Layer, Norm, factor
from quantforge.frontends.torch.training.module import TrainableModule
from quantforge.graph import Array, Graph


def begin_at(module: TrainableModule, folded: Graph, equalized: Graph, calibrated: Graph) -> None:
    """Give `module` the positions, weights and biases of a calibration.

    Args:
        module: Its parameters fold to the constants of `folded`.
        folded: The float graph.
        equalized: The same with channels equalized.
        calibrated: The same with specs, and with biases corrected.
    """
    for slot in module.structure.slots:
        spec = calibrated.value(slot.values[0]).quant
        quantizer = module.quantizer(slot.values[0])
        if spec is not None and spec.position is not None and quantizer is not None:
            quantizer.begin_at(spec.position)
    done: set[str] = set()
    for layer in module.layers:
        weight = layer.own_weight or layer.weight
        shared = weight in done
        done.add(weight)
        factors = _ratio(_data(folded, layer.weight), _data(equalized, layer.weight))
        if not shared and layer.own_weight is not None:
            _scale(module, layer.own_weight, factors)
        if layer.bias is not None:
            before, after = _data(folded, layer.bias), _data(equalized, layer.bias)
            corrected = _data(calibrated, layer.bias)
            _begin_bias(module, layer, _ratio(before, after), corrected, corrected - after)


def begin_at_constants(module: TrainableModule, tuned: Graph) -> None:
    """Give `module` parameters that fold to the weights and biases of `tuned`; normalizations keep their factors."""
    done: set[str] = set()
    for layer in module.layers:
        if layer.own_weight is not None and layer.own_weight not in done:
            done.add(layer.own_weight)
            wanted = _tensor(tuned, layer.weight)
            module.set_constant(layer.own_weight, _unfolded(module, layer, wanted))
        if layer.bias is None:
            continue
        _, bias = layer.folded(module.constant)
        own = layer.own_bias if layer.norm is None else layer.norm.beta
        if own is not None and bias is not None:
            module.set_constant(own, module.constant(own) + (_tensor(tuned, layer.bias).to(bias) - bias))


def _unfolded(module: TrainableModule, layer: Layer, weight: torch.Tensor) -> torch.Tensor:
    """The user's weights that fold to `weight`; those of channels that are constants stay."""
    if layer.norm is None or layer.own_weight is None:
        return weight
    own = module.constant(layer.own_weight).detach()
    k = factor(layer.norm, module.constant).detach()
    shape = [1] * own.ndim
    shape[layer.axis] = -1
    by_channel = k.reshape(shape)
    return torch.where(by_channel == 0, own, weight.to(own) / torch.where(by_channel == 0, 1.0, by_channel))


def _tensor(graph: Graph, name: str) -> torch.Tensor:
    return torch.from_numpy(_data(graph, name).astype(np.float32))


def _begin_bias(
    module: TrainableModule, layer: Layer, channels: Array, corrected: Array, correction: Array
) -> None:
    if layer.norm is not None:
        _scale_norm(module, layer.norm, channels)
        _add(module, layer.norm.beta, correction)
        if layer.own_bias is not None:
            _scale(module, layer.own_bias, channels)
    elif layer.own_bias is not None:
        module.set_constant(layer.own_bias, torch.from_numpy(corrected.astype(np.float32)))


def _scale_norm(module: TrainableModule, norm: Norm, channels: Array) -> None:
    for name in (norm.gamma, norm.beta, norm.mean):
        _scale(module, name, channels)
    variance = _numbers(module, norm.variance)
    scaled = channels**2 * (variance + norm.epsilon) - norm.epsilon
    module.set_constant(norm.variance, torch.from_numpy(scaled.astype(np.float32)))


def _ratio(before: Array, after: Array) -> Array:
    """after / before element by element, 1 where there was nothing; float64."""
    nothing = before == 0.0
    found: Array = np.where(nothing, 1.0, after) / np.where(nothing, 1.0, before)
    return found


def _scale(module: TrainableModule, name: str, factors: Array) -> None:
    if np.any(factors != 1.0):
        scaled = _numbers(module, name) * factors
        module.set_constant(name, torch.from_numpy(scaled.astype(np.float32)))


def _add(module: TrainableModule, name: str, terms: Array) -> None:
    if np.any(terms != 0.0):
        module.set_constant(name, torch.from_numpy((_numbers(module, name) + terms).astype(np.float32)))


def _numbers(module: TrainableModule, name: str) -> Array:
    found: Array = module.constant(name).detach().cpu().numpy().astype(np.float64)
    return found


def _data(graph: Graph, name: str) -> Array:
    return np.asarray(graph.value(name).const, np.float64)

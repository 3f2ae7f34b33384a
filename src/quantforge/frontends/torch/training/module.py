"""The module that trains: the user's parameters under their names, learned quantizers beside them.

It takes and returns what the user's module does. In evaluation mode it computes what the deployed module computes,
bit for bit on the same processor; in training mode normalizations use the statistics of the batch (`layers`) until
they are frozen. The first forward pass may set everything up by its batch (`warm_up`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from quantforge.diagnostics import InputError
from quantforge.frontends.torch.calling import Calling
from quantforge.frontends.torch.capture import first_line
from quantforge.frontends.torch.run import stored_constant
from quantforge.frontends.torch.training.layers import Layer
from quantforge.frontends.torch.training.normalize import normalized, normalized_batch
from quantforge.frontends.torch.training.quantizer import MARK, TrainedQuantizer, stored_as
from quantforge.frontends.torch.training.structure import Step, Structure
from quantforge.frontends.torch.training.tqt import Grid

WarmUp = Callable[["TrainableModule", tuple[Any, ...], dict[str, Any]], None]
_FLAGS = ("warming_up", "quantizes", "frozen_statistics", "frozen_thresholds")


class TrainableModule(nn.Module):
    """Runs `structure` with parameters of its own, which begin as those of `structure.unfolded`.

    Args:
        structure: What runs.
        forward: The `forward` of the user's module, for its signature.
        trained: Names of the constants that are parameters; the others are buffers.
        dropouts: Dropout modules by the name that `structure` gives them.
        warm_up: Called by the first forward pass with its arguments; sets thresholds.
    """

    def __init__(
        self,
        structure: Structure,
        forward: Any,
        trained: Mapping[str, bool],
        dropouts: Mapping[str, nn.Module],
        warm_up: WarmUp | None = None,
    ) -> None:
        super().__init__()
        self.structure = structure
        self._calling = Calling(structure.folded, forward)
        self._warm_up = warm_up
        self._layers = structure.layers
        self._places: dict[str, tuple[nn.Module, str]] = {}
        for name in _needed(structure):
            self._hold(name, _start(structure, name), trained.get(name))
        self._quantizers: dict[str, TrainedQuantizer] = {}
        for slot in structure.slots:
            quantizer = TrainedQuantizer(slot.bits, slot.rounding)
            self._place(slot.path, quantizer)
            self._quantizers.update(dict.fromkeys(slot.values, quantizer))
        self._dropouts = nn.ModuleDict({name.replace(".", "/"): module for name, module in dropouts.items()})
        self.warming_up, self.quantizes = warm_up is not None, True
        self.frozen_statistics, self.frozen_thresholds = False, False

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the user's module returns, nested alike.

        Raises:
            InputError: Q1408 for arguments other than those the module was captured with, Q1403 when an operator
                fails.
        """
        if self.warming_up:
            self._begin(args, kwargs)
        inputs = self._calling.inputs(args, kwargs)
        sizes = self._calling.sizes(inputs)
        live = {name: self._stored(name, tensor) for name, tensor in inputs.items()}
        masked: dict[str, torch.Tensor] = {}
        by_op = {layer.op: layer for layer in self._layers}
        for step in self.structure.steps:
            self._take(step, by_op.get(step.op.name), live, sizes, masked)
        found = {
            name: live[name] if name in live else self._find(name) for name in self.structure.folded.outputs
        }
        return self._calling.outputs(found, sizes)

    # what the user switches

    def enable_quant(self) -> None:
        """Quantize, as a new module does."""
        self._quantize(True)

    def disable_quant(self) -> None:
        """Compute in float."""
        self._quantize(False)

    def enable_warmup(self) -> None:
        """Let the next forward pass set thresholds, and weights where equalization changes them, by its batch."""
        self.warming_up = self._warm_up is not None

    def disable_warmup(self) -> None:
        """Keep thresholds as they are."""
        self.warming_up = False

    def freeze_quant(self) -> None:
        """Train no thresholds from now on."""
        self.frozen_thresholds = True
        self._restore()

    def freeze_bn_stats(self) -> None:
        """Normalize by the running statistics from now on, in training too, and leave them as they are."""
        self.frozen_statistics = True

    def fuse_conv_bn(self) -> None:
        """Make normalizations part of the weights and biases before them, which train from now on in their place.

        Biases that come up are new parameters; give them to the optimizer.
        """
        layers = []
        for layer in self._layers:
            layers.append(layer if layer.norm is None else self._fuse(layer))
        self._layers = tuple(layers)

    def quantizer_parameters(self) -> list[nn.Parameter]:
        """The thresholds."""
        return [parameter for name, parameter in self.named_parameters() if MARK in name]

    def non_quantizer_parameters(self) -> list[nn.Parameter]:
        """The parameters of the user's module."""
        return [parameter for name, parameter in self.named_parameters() if MARK not in name]

    # what others read

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The weighted operators as they are now."""
        return self._layers

    def holds(self, name: str) -> bool:
        """Whether a constant of the unfolded graph is a parameter or buffer here."""
        return name in self._places

    def constant(self, name: str) -> torch.Tensor:
        """The parameter or buffer that stands for a constant of the unfolded graph."""
        return self._find(name)

    def set_constant(self, name: str, tensor: torch.Tensor) -> None:
        """Give a constant other numbers, in place."""
        with torch.no_grad():
            self._find(name).copy_(tensor)

    def deployed(self) -> Iterator[tuple[Layer, torch.Tensor, torch.Tensor | None]]:
        """Every layer with its weights and bias as they are deployed, before quantization."""
        for layer in self._layers:
            yield layer, *layer.folded(self._find)

    def quantizer(self, value: str) -> TrainedQuantizer | None:
        """The quantizer of a value of the folded graph."""
        return self._quantizers.get(value)

    def get_extra_state(self) -> dict[str, bool]:
        """The switches, for `state_dict`."""
        return {name: getattr(self, name) for name in _FLAGS}

    def set_extra_state(self, state: dict[str, bool]) -> None:
        """The switches, from a `state_dict`."""
        for name in _FLAGS:
            setattr(self, name, state[name])
        self._restore()

    # running

    @torch.compiler.disable
    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._warm_up is not None:
            self._warm_up(self, args, kwargs)
        self.warming_up = False

    def _take(
        self,
        step: Step,
        layer: Layer | None,
        live: dict[str, torch.Tensor],
        sizes: Mapping[str, int],
        masked: dict[str, torch.Tensor],
    ) -> None:
        op = step.op
        arguments = [self._argument(step, index, live, masked) for index in range(len(op.inputs))]
        try:
            results = self._results(step, layer, arguments, sizes)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            shapes = ", ".join(str(tuple(t.shape)) for t in arguments if isinstance(t, torch.Tensor))
            raise InputError(
                "Q1403", f"op {op.name!r} ({op.kind}) on {shapes}", first_line(error), "a run without errors",
                "check that these shapes are ones the model was captured for",
            ) from error  # fmt: skip
        listed = results if isinstance(results, list | tuple) else (results,)
        for name, tensor, grid in zip(op.outputs, listed, step.grids, strict=False):
            if isinstance(tensor, torch.Tensor):
                live[name] = tensor if grid is None else self._quantizers[name](tensor, grid)
        if step.stored is not None and self.quantizes:
            live[op.outputs[0]] = stored_as(live[op.outputs[0]], step.stored)
        for name in step.freed:
            live.pop(name, None)

    def _argument(
        self, step: Step, index: int, live: dict[str, torch.Tensor], masked: dict[str, torch.Tensor]
    ) -> torch.Tensor | None:
        name = step.op.inputs[index]
        if not name or (index > 0 and step.layer is not None):
            return None
        dropout = step.dropouts[index]
        tensor = live[name] if name in live else self._stored(name, self._find(name))
        if dropout is None or not self.training:
            return tensor
        if dropout not in masked:
            masked[dropout] = self._dropouts[dropout.replace(".", "/")](tensor)
        return masked[dropout]

    def _results(
        self, step: Step, layer: Layer | None, arguments: list[Any], sizes: Mapping[str, int]
    ) -> Any:
        by_batch = self.training and not self.frozen_statistics
        if step.fused:
            return arguments[0]  # the quantizer behind it applies the relu
        if step.norm is not None:
            return normalized(arguments[0], step.norm, self._find, by_batch)
        if layer is None:
            return step.run(arguments, sizes)
        if by_batch and layer.norm is not None:
            return normalized_batch(arguments[0], layer, step, self._find, self._parameter, sizes)
        weight, bias = layer.folded(self._find)
        return step.run([arguments[0], *self._parameters_of(layer, weight, bias)], sizes)

    def _parameters_of(self, layer: Layer, weight: torch.Tensor, bias: torch.Tensor | None) -> list[Any]:
        return [
            self._parameter(layer.weight, weight),
            bias if bias is None or layer.bias is None else self._parameter(layer.bias, bias),
        ]

    def _parameter(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Weights or a bias as stored."""
        return self._stored(name, tensor)

    def _stored(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        quantizer = self._quantizers.get(name)
        if quantizer is None:
            return tensor
        found: torch.Tensor = quantizer(tensor, Grid(quantizer.bits, quantizer.rounding))
        return found

    def _find(self, name: str) -> torch.Tensor:
        holder, leaf = self._places[name]
        found: torch.Tensor = getattr(holder, leaf)
        return found

    # keeping parameters

    def _quantize(self, wanted: bool) -> None:
        self.quantizes = wanted
        self._restore()

    def _restore(self) -> None:
        """Make the parts agree with the switches."""
        for quantizer in self._quantizers.values():
            quantizer.enabled = self.quantizes
            quantizer.log_threshold.requires_grad_(not self.frozen_thresholds)

    def _fuse(self, layer: Layer) -> Layer:
        norm = layer.norm
        with torch.no_grad():
            weight, bias = layer.folded(self._find)
        own_weight, own_bias = layer.own_weight or layer.weight, layer.own_bias or layer.bias
        if norm is None or bias is None or own_bias is None:
            return layer
        for name, tensor in ((own_weight, weight), (own_bias, bias)):
            if name in self._places:
                self.set_constant(name, tensor)
            else:
                self._hold(name, tensor, True)
        for name in (norm.gamma, norm.beta, norm.mean, norm.variance):
            holder, leaf = self._places.pop(name)
            delattr(holder, leaf)
        return Layer(layer.op, layer.weight, layer.bias, own_weight, own_bias, None, layer.axis)

    def _hold(self, name: str, tensor: torch.Tensor, trained: bool | None) -> None:
        """Register a constant under its path: a parameter, or a buffer with `trained` None."""
        *path, leaf = name.split(".")
        holder = self._holder(path)
        while hasattr(holder, leaf):
            leaf += "_"
        if trained is not None and tensor.is_floating_point():
            holder.register_parameter(leaf, nn.Parameter(tensor.clone(), requires_grad=trained))
        else:
            holder.register_buffer(leaf, tensor.clone())
        self._places[name] = (holder, leaf)

    def _place(self, path: str, module: nn.Module) -> None:
        *parts, leaf = path.split(".")
        holder = self._holder(parts)
        while hasattr(holder, leaf):
            leaf += "_"
        holder.add_module(leaf, module)

    def _holder(self, path: list[str]) -> nn.Module:
        holder: nn.Module = self
        for part in path:
            known = getattr(holder, part, None)
            if not isinstance(known, nn.Module):
                part = part if known is None else f"{part}_"
                known = getattr(holder, part, None) or nn.Module()
                holder.add_module(part, known)
            holder = known
        return holder


def _needed(structure: Structure) -> list[str]:
    """Names of the constants to hold: the layers' own, their normalizations', and those other steps read."""
    names: list[str] = []
    for layer in structure.layers:
        norm = layer.norm
        names += [layer.own_weight or "", layer.own_bias or ""]
        if norm is not None:
            names += [norm.gamma, norm.beta, norm.mean, norm.variance, norm.counter or ""]
    for step in structure.steps:
        if step.layer is None:
            names += [name for name in step.op.inputs if name and structure.deployed.value(name).is_const]
        if step.norm is not None:
            names.append(step.norm.counter or "")
    names += [name for name in structure.folded.outputs if structure.folded.value(name).is_const]
    return [name for name in dict.fromkeys(names) if name]


def _start(structure: Structure, name: str) -> torch.Tensor:
    for graph in (structure.unfolded, structure.folded):
        if graph.has_value(name):
            return stored_constant(graph.value(name))
    return torch.tensor(0)  # the counter of a normalization, which the graph does not know

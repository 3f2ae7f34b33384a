"""From a module in training to graphs: the float graph its parameters make, and the quantized one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from quantforge.diagnostics import InputError
from quantforge.frontends.torch.training.module import TrainableModule
from quantforge.graph import Graph
from quantforge.passes.result import Note
from quantforge.quantization.align import align_positions
from quantforge.quantization.hardware import as_hardware
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import Recipe


def float_graph(module: TrainableModule) -> Graph:
    """The folded graph with the parameters of `module`, without specs."""
    graph = module.structure.folded.copy()
    with torch.no_grad():
        for layer, weight, bias in module.deployed():
            _set(graph, layer.weight, weight)
            if layer.bias is not None and bias is not None:
                _set(graph, layer.bias, bias)
    made = {name for layer in module.layers for name in (layer.weight, layer.bias)}
    for value in graph.values:
        if value.is_const and value.name not in made and module.holds(value.name):
            _set(graph, value.name, module.constant(value.name))
    return graph


def quantized_graph(module: TrainableModule) -> Graph:
    """The same with a spec wherever the module has a quantizer."""
    graph = float_graph(module)
    for slot in module.structure.slots:
        quantizer = module.quantizer(slot.values[0])
        if quantizer is not None:
            for name in slot.values:
                graph.set_value(replace(graph.value(name), quant=quantizer.spec))
    return graph


def aligned_graph(module: TrainableModule, places: Places, recipe: Recipe) -> tuple[Graph, tuple[Note, ...]]:
    """What is deployed: `quantized_graph` with positions in reach of a device's shift registers, in its arithmetic.

    With it come notes of the positions that moved.
    """
    graph, notes = align_positions(quantized_graph(module), places, recipe)
    return as_hardware(graph, places, recipe)[0], notes


def constants_of(graph: Graph) -> dict[str, torch.Tensor]:
    """The constants by name, before quantization: what a file keeps of them."""
    return {
        value.name: torch.from_numpy(np.array(value.const))
        for value in graph.values
        if value.const is not None
    }


def with_constants(graph: Graph, constants: Mapping[str, torch.Tensor], where: str) -> Graph:
    """A copy of `graph` with other numbers.

    Raises:
        InputError: Q1411 when `constants`, from the file `where`, are those of another model.
    """
    graph = graph.copy()
    for value in graph.values:
        if value.const is None:
            continue
        found = constants.get(value.name)
        if found is None or tuple(found.shape) != value.const.shape:
            raise InputError(
                "Q1411", f"{where}: {value.name}", "nothing" if found is None else f"shape {tuple(found.shape)}",
                f"shape {value.const.shape}", "make the files anew with to_deployable()",
            )  # fmt: skip
        _set(graph, value.name, found)
    return graph


def _set(graph: Graph, name: str, tensor: torch.Tensor) -> None:
    data = tensor.detach().cpu().numpy().copy()
    graph.set_value(replace(graph.value(name), const=data))

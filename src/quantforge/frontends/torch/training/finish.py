"""From a module in training to graphs: the float graph its parameters make, and the quantized one."""

from __future__ import annotations

from dataclasses import replace

import torch

from quantforge.frontends.torch.training.module import TrainableModule
from quantforge.graph import Graph


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
    """The same with a spec wherever the module has a quantizer: what is exported."""
    graph = float_graph(module)
    for slot in module.structure.slots:
        quantizer = module.quantizer(slot.values[0])
        if quantizer is not None:
            for name in slot.values:
                graph.set_value(replace(graph.value(name), quant=quantizer.spec))
    return graph


def _set(graph: Graph, name: str, tensor: torch.Tensor) -> None:
    data = tensor.detach().cpu().numpy().copy()
    graph.set_value(replace(graph.value(name), const=data))

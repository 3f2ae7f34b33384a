"""A graph as a torch module that takes and returns what the user's module does.

Its parameters are the graph's constants under their names; those that no pass changed share their memory with the
user's module. With an observer it shows it the values it asks for, on every forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import nn

from quantforge.frontends.torch.calling import Calling
from quantforge.frontends.torch.program import Program
from quantforge.frontends.torch.run import stored_constant
from quantforge.graph import Graph


class Observer(Protocol):
    """Whoever wants to see values while the module runs."""

    @property
    def graph(self) -> Graph:
        """The graph to run; it may change from batch to batch in its constants."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the values to see of the next batch."""

    def add(self, inputs: Mapping[str, torch.Tensor], observed: Mapping[str, torch.Tensor]) -> None:
        """One batch: the graph's inputs and the values asked for."""


class QuantizedModule(nn.Module):
    """Runs `graph`, imported from a module whose `forward` is given for its signature."""

    def __init__(self, graph: Graph, forward: Any, observer: Observer | None = None) -> None:
        super().__init__()
        self._calling = Calling(graph, forward)
        self._observer = observer
        self._places: dict[str, tuple[nn.Module, str]] = {}
        self._take(graph)
        self.forwards = 0

    @property
    def graph(self) -> Graph:
        """The graph that runs."""
        return self._program.graph

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the user's module returns, nested alike.

        Raises:
            InputError: Q1408 for arguments other than those the module was captured with.
        """
        inputs = self.named_inputs(args, kwargs)
        constants = {name: getattr(holder, leaf) for name, (holder, leaf) in self._places.items()}
        found = self._program.run(inputs, constants)
        if self._observer is not None:
            with torch.no_grad():
                self._observer.add(inputs, {name: found[name] for name in self._asked})
            if self._observer.graph is not self._program.graph or self._observer.names != self._asked:
                self._take(self._observer.graph)
        self.forwards += 1
        return self._calling.outputs(found, self._program.sizes(inputs))

    def named_inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, torch.Tensor]:
        """The graph's inputs out of the arguments of a call; errors as `forward`."""
        return self._calling.inputs(args, kwargs)

    def run_graph(self, graph: Graph) -> None:
        """Run `graph`, which has the same constants and operators, from now on, and show nobody its values."""
        self._observer = None
        self._take(graph)

    def _take(self, graph: Graph) -> None:
        """Run `graph` from now on; its constants take the places of those of the same names."""
        self._asked = () if self._observer is None else self._observer.names
        self._program = Program(graph, (*graph.outputs, *self._asked))
        for name in self._program.constants:
            tensor = stored_constant(graph.value(name))
            if name not in self._places:
                self._hold(name, tensor)
                continue
            holder, leaf = self._places[name]
            known = getattr(holder, leaf)
            known.data = tensor.to(known.device)

    def _hold(self, name: str, tensor: torch.Tensor) -> None:
        """Register a constant as a parameter (floats) or buffer, under its path."""
        holder: nn.Module = self
        *path, leaf = name.split(".")
        for part in path:
            known = getattr(holder, part, None)
            if not isinstance(known, nn.Module):
                part = part if known is None else f"{part}_"
                known = nn.Module()
                holder.add_module(part, known)
            holder = known
        while hasattr(holder, leaf):
            leaf += "_"
        if tensor.is_floating_point():
            holder.register_parameter(leaf, nn.Parameter(tensor, requires_grad=False))
        else:
            holder.register_buffer(leaf, tensor)
        self._places[name] = (holder, leaf)

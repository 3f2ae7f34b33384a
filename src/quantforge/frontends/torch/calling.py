"""How a captured module is called: its arguments to inputs of the graph, values of the graph to what it returns."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils import _pytree as pytree

from quantforge.diagnostics import InputError
from quantforge.frontends.torch.native import Fixed, NativeModule, Size
from quantforge.graph import Graph


class Calling:
    """The calls of the module that `graph` was imported from; `forward` is its method, for its signature.

    Raises:
        InputError: Q1406 for a graph of another framework.
    """

    def __init__(self, graph: Graph, forward: Any) -> None:
        native = graph.native
        if not isinstance(native, NativeModule):
            raise InputError(
                "Q1406", f"graph {graph.name!r}", "a graph of another framework", "one imported from torch",
                "run the model through the door it was imported by",
            )  # fmt: skip
        self._native = native
        self._signature = inspect.signature(forward)
        self._dtypes = {name: getattr(torch, graph.value(name).dtype) for name in graph.inputs}

    def __deepcopy__(self, memo: Any) -> Calling:
        return self  # nothing in it changes

    def inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, torch.Tensor]:
        """The graph's inputs by name.

        Raises:
            InputError: Q1408 for arguments other than those the module was captured with.
        """
        leaves, spec = pytree.tree_flatten((args, kwargs))
        if spec != self._native.in_spec:
            leaves, spec = pytree.tree_flatten(self._rebound(args, kwargs))
        named = list(zip(self._native.leaves, leaves, strict=False))
        tensors = {
            name: self._fitted(name, leaf)
            for name, leaf in named
            if name is not None and isinstance(leaf, torch.Tensor)
        }
        wanted = [name for name in self._native.leaves if name is not None]
        if spec != self._native.in_spec or len(tensors) != len(wanted):
            raise InputError(
                "Q1408", f"module {self._native.name!r}", f"arguments nested as {spec}",
                f"{self._native.in_spec}", "call it as in the example inputs",
            )  # fmt: skip
        return tensors

    def _fitted(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Floats of another width become those of the graph, which computes in float32 what is half elsewhere."""
        dtype = self._dtypes.get(name, tensor.dtype)
        both_float = dtype.is_floating_point and tensor.is_floating_point()
        return tensor.to(dtype) if both_float and dtype != tensor.dtype else tensor

    def outputs(self, found: Mapping[str, torch.Tensor], sizes: Mapping[str, int]) -> Any:
        """What the module returns, nested alike; `sizes` are the symbolic sizes of this call."""
        leaves = [
            found[item] if isinstance(item, str) else _fixed(item, sizes) for item in self._native.returned
        ]
        return pytree.tree_unflatten(leaves, self._native.out_spec)

    def sizes(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, int]:
        """The symbolic sizes of one call."""
        return {symbol: inputs[name].shape[axis] for symbol, (name, axis) in self._native.symbols.items()}

    def _rebound(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The same arguments, positional and named as in the example."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:
            return args, kwargs
        bound.apply_defaults()
        given: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = self._signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                given |= {f"{name}.{index}": item for index, item in enumerate(value)}
            else:
                given |= value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
        names = self._native.named
        positional = [value for name, value in given.items() if name not in names]
        named = {name: given[name] for name in names if name in given}
        return tuple(positional[: self._native.positional]), named


def _fixed(item: Fixed, sizes: Mapping[str, int]) -> Any:
    return item.value.of(sizes) if isinstance(item.value, Size) else item.value

"""Dropout in a module that was captured in evaluation mode, where it does nothing.

`nn.Dropout` leaves an identity operator of its own name behind; training puts it back in front of the operators that
read it. Other kinds, dropout by `torch.nn.functional` and one that only outputs of the module read leave nothing that
could be put back; `lost_dropouts` counts them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from quantforge.frontends.torch.preserve import evaluating
from quantforge.graph import Graph, Op

_CALLS = (
    functional.dropout,
    functional.dropout1d,
    functional.dropout2d,
    functional.dropout3d,
    functional.alpha_dropout,
    functional.feature_alpha_dropout,
)


def dropouts_of(
    module: nn.Module, captured: Graph, prepared: Graph
) -> tuple[dict[str, nn.Module], dict[tuple[str, int], str]]:
    """The dropout modules by operator name, and in front of which operator and input of `prepared` each stands."""
    modules = {name: part for name, part in module.named_modules() if type(part) is nn.Dropout}
    if not modules:
        return {}, {}
    places: dict[tuple[str, int], str] = {}
    for op in captured.ops:
        if op.kind in ("identity", "dropout") and _path(op) in modules:
            for reader, index in _readers(captured, op.outputs[0]):
                if prepared.has_op(reader.name):
                    places.setdefault((reader.name, index), op.name)
    used = set(places.values())
    found: dict[str, nn.Module] = {
        op.name: copy.deepcopy(modules[_path(op)]) for op in captured.ops if op.name in used
    }
    for part in found.values():
        if hasattr(part, "inplace"):
            setattr(part, "inplace", False)  # noqa: B010  what it reads is kept for the backward pass
    return found, places


def lost_dropouts(module: nn.Module, args: Any, kwargs: Mapping[str, Any] | None, kept: int) -> int:
    """How many calls of dropout a forward pass makes besides the `kept` ones."""
    counter = _Counter()
    some = tuple(args) if isinstance(args, tuple | list) else (args,)
    with evaluating(module), torch.no_grad(), counter:
        module(*some, **(kwargs or {}))
    return max(counter.count - kept, 0)


class _Counter(TorchFunctionMode):
    """Counts calls of dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        rate = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
        self.count += func in _CALLS and rate > 0
        return func(*args, **kwargs)


def _path(op: Op) -> str:
    """The module an operator is called after; a second call has a number."""
    stem, _, count = op.name.rpartition("_")
    return stem if count.isdigit() and stem else op.name


def _readers(graph: Graph, value: str) -> list[tuple[Op, int]]:
    """The operators behind `value` and the input it is, through operators that do nothing."""
    found = []
    for op in graph.consumers(value):
        if op.kind in ("identity", "dropout"):
            found += _readers(graph, op.outputs[0])
        else:
            found += [(op, index) for index, name in enumerate(op.inputs) if name == value]
    return found

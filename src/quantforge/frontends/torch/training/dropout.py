"""Dropout in a module that was captured in evaluation mode, where it does nothing.

A dropout module leaves an identity operator of its own name behind; training puts it back in front of the operators
that read it. What `functional.dropout` did is not in the captured graph any more.
"""

from __future__ import annotations

import copy

from torch import nn

from quantforge.graph import Graph, Op

_KINDS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def dropouts_of(
    module: nn.Module, captured: Graph, prepared: Graph
) -> tuple[dict[str, nn.Module], dict[tuple[str, int], str]]:
    """The dropout modules by operator name, and in front of which operator and input of `prepared` each stands."""
    modules = {name: part for name, part in module.named_modules() if isinstance(part, _KINDS)}
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

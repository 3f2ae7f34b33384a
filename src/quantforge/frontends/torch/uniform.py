"""Folds what is the same for every sample: constants spread over the batch, and what is computed from those.

Such a tensor depends on constants and on the size of the batch alone, and is the same in every row. It is found by
computing it for two sizes of the batch and comparing all rows; a size may only say how large a tensor is, never what
it holds, so that other sizes give the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch.utils import _pytree as pytree

from quantforge.frontends.torch.names import packet_name
from quantforge.frontends.torch.native import symbol_of
from quantforge.graph import Array

_TRIED = (2, 3)
_LARGEST = 1 << 20  # elements of one row
# Operators among whose arguments a size says how large a tensor is: the names of these arguments.
_SIZES = {
    **dict.fromkeys(("full", "zeros", "ones", "new_full", "new_zeros", "new_ones", "expand", "view"), "size"),
    "_unsafe_view": "size",
    "reshape": "shape",
    "repeat": "repeats",
}


@dataclass(frozen=True)
class Uniform:
    """One row of a tensor that is the same along `axis`; `row` has size 1 there."""

    row: torch.Tensor
    axis: int


class UniformFolder:
    """Folds the nodes of one graph; `constant_of` gives the data of constants, None for others."""

    def __init__(self, constant_of: Callable[[fx.Node], Array | None]) -> None:
        self._constant_of = constant_of
        self._found: dict[fx.Node, Uniform] = {}

    def fold(self, node: fx.Node) -> Uniform | None:
        """What `node` is, when it is uniform; its arguments are asked before it."""
        axis = _open_axis(node.meta.get("val"))
        if axis is None or not self._is_determined(node):
            return None
        rows = [self._row(node, batch, axis) for batch in _TRIED]
        first = rows[0]
        if first is None or any(row is None or not torch.equal(row, first) for row in rows):
            return None
        self._found[node] = Uniform(first, axis)
        return self._found[node]

    def _is_determined(self, node: fx.Node) -> bool:
        """Whether its tensors are constants or uniform, and sizes only sizes."""
        target = node.target
        if not isinstance(target, torch._ops.OpOverload) or torch.Tag.nondeterministic_seeded in target.tags:
            return False
        sized = _SIZES.get(packet_name(target) or "")
        for argument, item in zip(target._schema.arguments, node.args, strict=False):
            for leaf in _nodes(item):
                if isinstance(leaf.meta.get("val"), torch.SymInt):
                    if argument.name != sized:
                        return False
                elif leaf not in self._found and self._constant_of(leaf) is None:
                    return False
        return not _nodes(dict(node.kwargs))

    def _row(self, node: fx.Node, batch: int, axis: int) -> torch.Tensor | None:
        """The first row for this size of the batch; None when the others differ."""

        def filled(item: Any) -> Any:
            if not isinstance(item, fx.Node):
                return item
            size = item.meta["val"]
            if isinstance(size, torch.SymInt):
                return int(size.node.expr.subs(dict.fromkeys(size.node.expr.free_symbols, batch)))
            if item in self._found:
                known = self._found[item]
                return known.row.expand(*(batch if i == known.axis else -1 for i in range(known.row.ndim)))
            return torch.from_numpy(self._constant_of(item))

        args, kwargs = pytree.tree_map(filled, (tuple(node.args), dict(node.kwargs)))
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        found = node.target(*args, **kwargs)  # type: ignore[operator]
        if found.shape[axis] != batch:
            return None
        row = found.narrow(axis, 0, 1)
        return row.contiguous() if torch.equal(found, row.expand_as(found)) else None


def _open_axis(tensor: Any) -> int | None:
    """The one axis of a traced tensor whose size is a symbol, where all others are numbers and few."""
    if not isinstance(tensor, torch.Tensor):
        return None
    opened = [axis for axis, size in enumerate(tensor.shape) if not isinstance(size, int)]
    rest = 1
    for size in tensor.shape:
        rest *= size if isinstance(size, int) else 1
    if len(opened) != 1 or symbol_of(tensor.shape[opened[0]]) is None or rest > _LARGEST:
        return None
    return opened[0]


def _nodes(item: Any) -> list[fx.Node]:
    return [leaf for leaf in pytree.tree_leaves(item) if isinstance(leaf, fx.Node)]

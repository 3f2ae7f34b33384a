"""Which tensors hold data, and which only positions and masks.

Floats made of integers and booleans by arithmetic (masks of padded words, positions, their sines) are not data: they
have no range worth a scale, and masks hold the lowest numbers there are. They become data where a table is looked up
with them or weights are multiplied by them. Bytes are data too: images come as bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import fx

from quantforge.frontends.torch.names import packet_name

_BYTES = (torch.uint8, torch.int8)
_WEIGHTED = {
    *(f"conv{rank}d" for rank in (1, 2, 3)),
    *(f"conv_transpose{rank}d" for rank in (1, 2, 3)),
    *("convolution", "linear", "addmm", "matmul", "mm", "bmm", "baddbmm"),
}
_LOOKUPS = {"embedding", "index_select", "index", "gather", "_unsafe_index"}


class Provenance:
    """Answers for the nodes of one graph; `is_constant` tells parameters and what is folded from them."""

    def __init__(self, is_constant: Callable[[fx.Node], bool]) -> None:
        self._is_constant = is_constant
        self._data: dict[fx.Node, bool] = {}

    def is_data(self, node: fx.Node) -> bool:
        """Whether a tensor is made from real-valued inputs, bytes, or looked-up parameters; asked in order."""
        if node not in self._data:
            self._data[node] = self._found(node)
        return self._data[node]

    def _found(self, node: fx.Node) -> bool:
        tensor = node.meta.get("val")
        if self._is_constant(node):
            return False
        if node.op == "placeholder":
            return isinstance(tensor, torch.Tensor) and (tensor.is_floating_point() or tensor.dtype in _BYTES)
        name = packet_name(node.target)
        tensors = [
            item
            for item in node.all_input_nodes
            if isinstance(item.meta.get("val"), torch.Tensor | tuple | list)
        ]
        if name in _WEIGHTED and any(self._is_constant(item) for item in tensors):
            return True
        if name in _LOOKUPS and any(self._is_constant(item) and _is_real(item) for item in tensors):
            return True
        return any(self.is_data(item) for item in tensors)


def _is_real(node: fx.Node) -> bool:
    tensor = node.meta.get("val")
    return isinstance(tensor, torch.Tensor) and tensor.is_floating_point()

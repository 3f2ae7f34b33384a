"""One operator of the graph as a module, for generated sources: it runs the door's kernel of its kind."""

from __future__ import annotations

from typing import Any

import torch

from quantforge.frontends.torch.kernels import kernel
from quantforge.graph import Attr, Op


class GraphOperator(torch.nn.Module):
    """An operator of a canonical kind.

    >>> GraphOperator("relu", 1)(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, kind: str, outputs: int, **attrs: Attr) -> None:
        super().__init__()
        names = tuple(f"y{index}" for index in range(outputs))
        self._compute = kernel(Op(kind, kind, (), names, attrs))

    def forward(self, *tensors: Any) -> Any:
        """What the operator computes; None stands for an absent input."""
        return self._compute(tensors)

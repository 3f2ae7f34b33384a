"""masked-softmax in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from quantforge.graph import Op

Kernel = Callable[[Sequence[Any]], Any]


def masked_softmax(op: Op) -> Kernel:
    """Masks of floats are added, down to the lowest number; where one of booleans is false nothing is left."""
    axis = int(op.attrs.get("axis", -1))  # type: ignore[arg-type]

    def compute(tensors: Sequence[Any]) -> Any:
        x, kept = tensors[0], None
        lowest = torch.finfo(x.dtype).min
        for mask in tensors[1:]:
            if mask.dtype != torch.bool:
                x = torch.clamp_min(x + mask, lowest)
            else:
                kept = mask if kept is None else kept & mask
        if kept is None:
            return torch.softmax(x, axis)
        shares = torch.softmax(torch.where(kept, x, lowest), axis)
        return torch.where(kept, shares, 0.0)

    return compute

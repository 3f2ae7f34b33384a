"""QuantStub and DeQuantStub: between a pair of them a model is quantized, elsewhere it stays in float.

Source: user guide UG1414, Module Partial Quantization.
"""

from __future__ import annotations

from typing import Any

import torch

from quantforge.frontends.torch.scope import mark_begin, mark_end


class QuantStub(torch.nn.Module):
    """Gives back what it gets; the part of the model that is quantized begins here.

    A model may hold several, and one may be called many times. Without any the whole model is quantized.

    >>> stub = QuantStub()
    >>> stub([torch.zeros(1), {"mask": None}])
    [tensor([0.]), {'mask': None}]
    """

    def forward(self, input: Any) -> Any:
        """`input`, a tensor or a nest of sequences and dicts of tensors."""
        return mark_begin(input)


class DeQuantStub(torch.nn.Module):
    """Gives back what it gets; the part of the model that is quantized ends here."""

    def forward(self, input: Any) -> Any:
        """`input`, a tensor or a nest of sequences and dicts of tensors."""
        return mark_end(input)

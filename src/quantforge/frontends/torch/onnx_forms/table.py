"""The table from names of ATen operators to their ONNX forms."""

from __future__ import annotations

from collections.abc import Callable

from quantforge.frontends.torch.onnx_forms import (
    algebra,
    creation,
    elementwise,
    imaging,
    logic,
    lookup,
    reductions,
    reshaping,
)
from quantforge.frontends.torch.onnx_forms.writer import Writer

Form = Callable[[Writer], None]
_FAMILIES = (elementwise, logic, creation, reshaping, lookup, reductions, imaging, algebra)

FORMS: dict[str, Form] = {name: form for family in _FAMILIES for name, form in family.FORMS.items()}

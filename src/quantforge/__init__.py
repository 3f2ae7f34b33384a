"""quantforge: quantize neural networks for fixed-point accelerators and for ONNX Runtime.

The names below are the whole public interface. They are loaded when first used: ``import quantforge`` imports
no framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quantforge.deployment import deploy
    from quantforge.diagnostics import Diagnostic, QuantforgeError, explain
    from quantforge.frontends.climb import Climb, climb
    from quantforge.frontends.compare import compare
    from quantforge.frontends.quantize import Result, quantize
    from quantforge.frontends.sensitivity import sensitivity
    from quantforge.quantization.compare import Comparison
    from quantforge.quantization.recipe import Recipe

__all__ = [
    "Climb",
    "Comparison",
    "Diagnostic",
    "QuantforgeError",
    "Recipe",
    "Result",
    "climb",
    "compare",
    "deploy",
    "explain",
    "quantize",
    "sensitivity",
]

# public name -> the module it lives in; a test checks that each is there
_HOMES = {
    "Climb": "quantforge.frontends.climb",
    "Comparison": "quantforge.quantization.compare",
    "Diagnostic": "quantforge.diagnostics",
    "QuantforgeError": "quantforge.diagnostics",
    "Recipe": "quantforge.quantization.recipe",
    "Result": "quantforge.frontends.quantize",
    "climb": "quantforge.frontends.climb",
    "compare": "quantforge.frontends.compare",
    "deploy": "quantforge.deployment",
    "explain": "quantforge.diagnostics",
    "quantize": "quantforge.frontends.quantize",
    "sensitivity": "quantforge.frontends.sensitivity",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'quantforge' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

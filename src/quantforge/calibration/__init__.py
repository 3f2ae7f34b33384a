"""Calibration: one pass over the data, one fixed-size sketch per tensor, every range method from it.

The names below are loaded when first used, so that a recipe, which needs only the names of the methods, does not
load the compiler of the counting loops.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quantforge.calibration.choose import choose_spec
    from quantforge.calibration.errors import expected_error
    from quantforge.calibration.segments import linear_histogram, segments_of
    from quantforge.calibration.sketch import Sketch

__all__ = ["Sketch", "choose_spec", "expected_error", "linear_histogram", "segments_of"]

_HOMES = {
    "Sketch": "sketch",
    "choose_spec": "choose",
    "expected_error": "errors",
    "linear_histogram": "segments",
    "segments_of": "segments",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'quantforge.calibration' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"quantforge.calibration.{_HOMES[name]}"), name)
    globals()[name] = value
    return value

"""The tuner that a recipe asks for; torch is imported only then."""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from quantforge.diagnostics import InputError
from quantforge.graph import Graph
from quantforge.quantization.recipe import Recipe

if TYPE_CHECKING:
    from quantforge.frontends.torch.tuning.calibrated import CalibrationTuner


def open_tuner(recipe: Recipe, graph: Graph) -> AbstractContextManager[CalibrationTuner | None]:
    """What fine-tunes by `recipe`, to be closed behind; gives None when the recipe does not ask for it.

    Raises:
        InputError: Q0524 when torch is not installed, Q0523 when it has no such device.
    """
    if recipe.finetune is None:
        return nullcontext()
    if importlib.util.find_spec("torch") is None:
        raise InputError(
            "Q0524", "finetune", "no torch", "torch 2.6 or newer", "python -m pip install 'quantforge[torch]'"
        )
    from quantforge.frontends.torch.tuning.calibrated import CalibrationTuner

    return CalibrationTuner(recipe.finetune, graph)

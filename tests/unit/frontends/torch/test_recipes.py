from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from quantforge.calibration.methods import ScaleKind
from quantforge.frontends.torch.recipes import dpu_recipe
from quantforge.numerics.rounding import Rounding


def test_a_dpu_rounds_activations_half_up_and_parameters_half_away() -> None:
    recipe = dpu_recipe()
    assert recipe.activations.rounding is Rounding.HALF_UP
    assert recipe.weights.rounding is Rounding.HALF_AWAY
    assert recipe.activations.scales is recipe.weights.scales is ScaleKind.POWER_OF_TWO


def test_one_width_for_everything() -> None:
    recipe = dpu_recipe(5)
    assert {str(rule.format) for rule in (recipe.activations, recipe.weights, recipe.bias)} == {"int5"}

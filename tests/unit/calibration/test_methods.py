"""The enums keep their spellings, which recipe files use, and a recipe's rule is a `RangeRule`."""

from __future__ import annotations

from quantforge.calibration.methods import RangeMethod, RangeRule, ScaleKind, Statistic
from quantforge.quantization import recipe


def test_recipe_files_spell_methods_like_this() -> None:
    assert [m.value for m in RangeMethod] == ["min-max", "percentile", "entropy", "mse", "non-overflow"]
    assert [s.value for s in ScaleKind] == ["float", "power-of-two"]
    assert [s.value for s in Statistic] == ["all", "most-common", "mean", "median", "max"]


def test_the_recipe_uses_these_very_enums() -> None:
    assert (recipe.RangeMethod, recipe.ScaleKind, recipe.Statistic) == (RangeMethod, ScaleKind, Statistic)
    rule: RangeRule = recipe.TensorRule()
    assert rule.method is RangeMethod.MIN_MAX

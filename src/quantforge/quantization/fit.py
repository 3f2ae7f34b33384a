"""Whether a recipe fits a target: the first choice that the device cannot compute is refused by its field."""

from __future__ import annotations

from collections.abc import Iterable

from quantforge.diagnostics import TargetError
from quantforge.numerics.formats import Format
from quantforge.quantization.recipe import Recipe, TensorRule
from quantforge.targets.load import Target


def check_fit(recipe: Recipe, target: Target) -> None:
    """Refuse a recipe that `target` cannot run.

    Raises:
        TargetError: Q0322 for a number format, Q0323 for the kind of scales, Q0324 for scales per channel, Q0325 for
            zero points; the message names the field of the recipe.
    """
    rules = [
        ("activations", recipe.activations, target.activations),
        ("weights", recipe.weights, target.weights),
    ]
    if recipe.inputs is not None:
        rules.append(("inputs", recipe.inputs, target.activations))
    for name, rule, formats in rules:
        if rule.keep_float:
            continue
        _check_format(f"{name}.format", rule.format, formats, recipe, target)
        _check_rule(name, rule, recipe, target)
    if not recipe.bias.keep_float:
        _check_format("bias.format", recipe.bias.format, target.bias, recipe, target)
    for override in recipe.overrides:
        where = f"override of {override.op or override.tensor or ', '.join(override.kinds)}"
        if override.format is not None:
            formats = tuple(dict.fromkeys((*target.activations, *target.weights)))
            _check_format(f"{where}: format", override.format, formats, recipe, target)
        if override.per_channel and not target.per_channel:
            raise _per_channel(f"{where}: per_channel", recipe, target)


def _check_rule(name: str, rule: TensorRule, recipe: Recipe, target: Target) -> None:
    if rule.scales.value not in target.scales:
        found, fix = f"{name}.scales = {rule.scales.value}", f'{name}.scales = "{target.scales[0]}"'
        raise TargetError("Q0323", _where(recipe, target), found, _words(target.scales), fix)
    if rule.per_channel and not target.per_channel:
        raise _per_channel(f"{name}.per_channel", recipe, target)
    if not rule.symmetric and not target.asymmetric:
        found = f"{name}.symmetric = false"
        raise TargetError(
            "Q0325",
            _where(recipe, target),
            found,
            "zero in the middle of the format",
            f"{name}.symmetric = true",
        )


def _per_channel(field: str, recipe: Recipe, target: Target) -> TargetError:
    found = f"{field} = true"
    return TargetError("Q0324", _where(recipe, target), found, "one scale per tensor", f"{field} = false")


def _check_format(
    field: str, found: Format, legal: tuple[Format, ...], recipe: Recipe, target: Target
) -> None:
    if found not in legal:
        fix = f'{field} = "{legal[0]}"'
        raise TargetError("Q0322", _where(recipe, target), f"{field} = {found}", _words(legal), fix)


def _where(recipe: Recipe, target: Target) -> str:
    return f"recipe {recipe.name} for target {target.name}"


def _words(legal: Iterable[object]) -> str:
    return " or ".join(map(str, legal))

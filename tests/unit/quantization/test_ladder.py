"""The steps as changes of a recipe, and what 16 bits and float mean for each kind of recipe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quantforge.calibration.methods import RangeMethod, ScaleKind
from quantforge.numerics.formats import INT8, INT16, INT32, UINT8, UINT16
from quantforge.ops.interpreter import Interpreter
from quantforge.quantization import ladder
from quantforge.quantization.flow import quantize_graph
from quantforge.quantization.ladder import STEPS, Step, base_recipe, kept_float, widened, widening
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN, Equalization, Override, Part, Recipe
from quantforge.quantization.recipe_file import parse_recipe, recipe_text
from quantforge.quantization.sensitivity import Layer
from tests.unit.quantization.judged_nets import classifier, source

L2 = Layer("l2", "inner-product", ("l2", "l2.r"), "l2.relu")
X = Layer("x", "input", (), "x")


def test_the_steps_build_up_what_was_asked_for() -> None:
    asked = replace(DPU_CNN, equalize=Equalization(sweeps=7))
    recipe = base_recipe(asked, 4)
    assert (recipe.equalize, recipe.correct_bias, recipe.refine, recipe.finetune) == (None, False, None, None)
    assert not recipe.replace_relu6 and recipe.hold_out == 4
    for step in STEPS:
        recipe = step.lay(recipe, asked)
    assert recipe.equalize == Equalization(sweeps=7) and recipe.replace_relu6 and recipe.correct_bias
    assert recipe.refine is not None and recipe.finetune is not None
    assert [step.name for step in STEPS] == [
        "equalize",
        "bias-correct",
        "bias-by-samples",
        "positions",
        "refine",
        "round",
    ]


def test_a_step_says_what_it_lacks() -> None:
    assert Step("any", lambda recipe, asked: recipe).missing() is None
    assert Step("any", lambda recipe, asked: recipe, "json").missing() is None
    assert (
        Step("any", lambda recipe, asked: recipe, "no_such_package").missing()
        == "no_such_package is not installed"
    )


def test_positions_are_those_of_powers_of_two() -> None:
    (positions,) = (step for step in STEPS if step.name == "positions")
    assert positions.suits(DPU_CNN) and not positions.suits(CPU_CNN) and STEPS[0].suits(CPU_CNN)
    assert positions.lay(DPU_CNN, DPU_CNN).positions_by_output
    assert not base_recipe(replace(DPU_CNN, positions_by_output=True), 4).positions_by_output


@pytest.mark.parametrize("count", range(8))
def test_widening_grows_up_to_all(count: int) -> None:
    layers = [Layer(str(i), "conv2d", (str(i),), str(i)) for i in range(count)]
    parts = [len(part) for part in widening(layers)]
    assert parts == sorted(set(parts)) and parts[-1:] == ([count] if count else [])


def formats(recipe: Recipe) -> dict[str, tuple[object, ...]]:
    graph = quantize_graph(classifier(), Interpreter(), source(), recipe).graph
    return {value.name: (value.quant.format, value.quant) for value in graph.quantized() if value.quant}


def test_sixteen_bits_of_a_dpu_are_powers_of_two_per_tensor() -> None:
    found = formats(widened(DPU_CNN, [L2, X]))
    wide = {name for name, (format, _) in found.items() if format == INT16}
    assert wide == {"x", "l2.w", "l2.b", "l2.relu"}
    assert all(spec.position is not None and spec.axis is None for _, spec in found.values())  # type: ignore[attr-defined]
    assert {found[name][0] for name in set(found) - wide} == {INT8}


def test_sixteen_bits_with_float_scales_are_those_of_activations() -> None:
    found = formats(widened(CPU_CNN, [L2]))
    assert found["l2.relu"][0] == UINT16 and found["l1.relu"][0] == UINT8
    assert found["l2.w"][0] == INT8 and found["l2.b"][0] == INT32


def test_what_an_override_says_already_stays() -> None:
    own = (
        Override(op="l2", part=Part.WEIGHTS, method=RangeMethod.NON_OVERFLOW),
        Override(op="l2.r", part=Part.ACTIVATIONS, percentile=99.0, scales=ScaleKind.POWER_OF_TWO),
    )
    recipe = widened(replace(DPU_CNN, overrides=own), [L2])
    weights = next(o for o in recipe.overrides[2:] if o.part is Part.WEIGHTS)
    assert (weights.method, weights.format) == (RangeMethod.NON_OVERFLOW, INT16)
    values = next(o for o in recipe.overrides[2:] if o.tensor == "l2.relu")
    assert (values.percentile, values.format) == (99.0, INT16)
    assert widened(recipe, [L2]).overrides[len(recipe.overrides) :][0].format == INT16


def test_layers_in_float() -> None:
    places = place(classifier(), kept_float(widened(DPU_CNN, [L2]), [L2, X]))
    assert {floats.op for floats in places.floats} >= {"l2", "l2.r"}
    assert "l2.w" not in {weight.value for weight in places.weights}
    assert "x" not in {name for group in places.groups for name in group.values}


def test_a_wide_recipe_survives_its_file() -> None:
    recipe = kept_float(widened(base_recipe(DPU_CNN, 4), [L2]), [X])
    assert parse_recipe(recipe_text(recipe)) == recipe
    assert ladder.HOLD_OUT == 4

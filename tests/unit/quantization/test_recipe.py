from __future__ import annotations

from collections.abc import Callable

import pytest

from quantforge.diagnostics import InputError
from quantforge.numerics.formats import INT8, INT32, UINT8
from quantforge.ops.registry import spec
from quantforge.quantization.recipe import (
    ALIASES,
    CPU_CNN,
    CPU_TRANSFORMER,
    DPU_CNN,
    NPU_TRANSFORMER,
    RECIPES,
    BiasRule,
    BiasScale,
    Override,
    Part,
    Recipe,
    ScaleKind,
    TensorRule,
    named_recipe,
)


def test_the_recipes_are_what_the_documents_recommend() -> None:
    assert DPU_CNN.activations.scales is DPU_CNN.weights.scales is ScaleKind.POWER_OF_TWO
    assert DPU_CNN.bias == BiasRule(INT8, BiasScale.OWN) and DPU_CNN.placement.align_pool
    assert (NPU_TRANSFORMER.activations.format, NPU_TRANSFORMER.weights.format) == (INT8, INT8)
    assert CPU_TRANSFORMER.weights.per_channel and not NPU_TRANSFORMER.weights.per_channel
    assert CPU_TRANSFORMER.placement.inputs_only and CPU_TRANSFORMER.placement.units
    assert (CPU_CNN.activations.format, CPU_CNN.weights.format) == (UINT8, INT8)
    assert CPU_CNN.bias == BiasRule(INT32, BiasScale.PRODUCT)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_placement_names_kinds_that_exist(recipe: Recipe) -> None:
    for kind in recipe.placement.kinds:
        assert spec(kind).kind == kind
    assert set(recipe.placement.fused) <= set(recipe.placement.kinds)


def test_names_and_aliases() -> None:
    assert {named_recipe(alias).name for alias in ALIASES} <= set(RECIPES)
    with pytest.raises(
        InputError, match=r"Q0311 recipe: found 'gpu'; expected one of dpu-cnn, .*\.toml file"
    ):
        named_recipe("gpu")


@pytest.mark.parametrize("names", [{}, {"tensor": "a", "op": "b"}], ids=["neither", "both"])
def test_an_override_is_about_a_tensor_or_an_operator(names: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"Q0310 override: .*expected exactly one of tensor, op and kinds"):
        Override(**names)


def test_overrides_are_added_behind() -> None:
    first, second = Override(op="a"), Override(op="b")
    assert DPU_CNN.with_overrides((first,)).with_overrides((second,)).overrides == (first, second)


def test_a_part_belongs_to_an_operator() -> None:
    with pytest.raises(InputError, match=r"Q0310.*a part of an operator"):
        Override(tensor="a", part=Part.BIAS)
    with pytest.raises(InputError, match="Q0310"):
        Override(op="a", kinds=("conv2d",))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda: TensorRule(percentile=0.0), "percentile: found 0.0; expected a number, above 0, up to 100"),
        (lambda: TensorRule(slack=-0.1), "slack: found -0.1; expected a number, 0 or more"),
        (lambda: TensorRule(slack=float("nan")), "slack: found nan"),
        (lambda: TensorRule(moving_average=1.5), r"moving_average: found 1.5; .* \(it is None then\)"),
    ],
)
def test_numbers_out_of_range_are_refused(rule: Callable[[], TensorRule], message: str) -> None:
    with pytest.raises(InputError, match=f"Q0532 {message}"):
        rule()

from __future__ import annotations

from dataclasses import replace

import pytest

from quantforge.diagnostics import TargetError
from quantforge.numerics.formats import INT16, UINT8, FloatFormat
from quantforge.quantization.fit import check_fit
from quantforge.quantization.recipe import (
    CPU_CNN,
    DPU_CNN,
    NPU_TRANSFORMER,
    BiasRule,
    Override,
    Recipe,
    ScaleKind,
)
from quantforge.targets import load_target


@pytest.mark.parametrize(
    ("recipe", "target"),
    [
        (DPU_CNN, "dpu"),
        (DPU_CNN, "npu"),
        (DPU_CNN, "cpu"),
        (NPU_TRANSFORMER, "npu"),
        (NPU_TRANSFORMER, "cpu"),
        (CPU_CNN, "cpu"),
        (replace(CPU_CNN, weights=replace(CPU_CNN.weights, per_channel=True)), "cpu"),
    ],
    ids=lambda case: getattr(case, "name", case),
)
def test_a_recipe_fits_the_device_it_is_made_for(recipe: Recipe, target: str) -> None:
    check_fit(recipe, load_target(target))


def changed(part: str, **fields: object) -> Recipe:
    return replace(DPU_CNN, **{part: replace(getattr(DPU_CNN, part), **fields)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        (
            changed("activations", format=UINT8),
            r'Q0322 .*found activations.format = uint8; expected int8; try: activations.format = "int8"',
        ),
        (changed("weights", format=FloatFormat("float16", 5, 10)), r"Q0322 .*found weights.format = float16"),
        (replace(DPU_CNN, bias=BiasRule()), r"Q0322 .*found bias.format = int32; expected int8"),
        (
            changed("weights", scales=ScaleKind.FLOAT),
            r'Q0323 .*weights.scales = float; expected power-of-two; try: weights.scales = "power-of-two"',
        ),
        (
            changed("weights", per_channel=True),
            r"Q0324 recipe dpu-cnn for target dpu: found weights.per_channel = true; expected one scale per tensor; "
            r"try: weights.per_channel = false",
        ),
        (changed("activations", symmetric=False), r"Q0325 .*found activations.symmetric = false"),
        (
            DPU_CNN.with_overrides((Override(op="/head/*", format=INT16),)),
            r"Q0322 .*override of /head/\*: format = int16",
        ),
        (
            DPU_CNN.with_overrides((Override(tensor="w", per_channel=True),)),
            r"Q0324 .*override of w: per_channel = true",
        ),
    ],
)
def test_what_the_dpu_cannot_do_is_refused_by_its_field(recipe: Recipe, text: str) -> None:
    with pytest.raises(TargetError, match=text):
        check_fit(recipe, load_target("dpu"))


def test_overrides_within_the_device_are_fine() -> None:
    check_fit(DPU_CNN.with_overrides((Override(op="a", keep_float=True),)), load_target("dpu"))
    check_fit(CPU_CNN.with_overrides((Override(tensor="a", format=INT16),)), load_target("cpu"))

"""The recipes of the PyTorch quantizer."""

from __future__ import annotations

from dataclasses import replace

from quantforge.calibration.methods import RangeMethod, ScaleKind
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.passes.dpu_arithmetic import DpuArithmetic
from quantforge.quantization.recipe import (
    DPU_PLACEMENT,
    BiasRule,
    BiasScale,
    Equalization,
    Recipe,
    ShiftLimits,
    TensorRule,
)


def dpu_recipe(bits: int = 8) -> Recipe:
    """The PyTorch quantizer's defaults for a DPU: powers of two, activations rounded half up, parameters half away.

    >>> dpu_recipe().activations.rounding.value, str(dpu_recipe(4).weights.format)
    ('half-up', 'int4')
    """
    rule = TensorRule(IntFormat(bits), ScaleKind.POWER_OF_TWO, method=RangeMethod.MSE)
    return Recipe(
        name="torch-dpu",
        activations=replace(rule, rounding=Rounding.HALF_UP),
        weights=replace(rule, rounding=Rounding.HALF_AWAY),
        bias=BiasRule(IntFormat(bits), BiasScale.OWN, rounding=Rounding.HALF_AWAY),
        placement=DPU_PLACEMENT,
        replace_relu6=True,
        dpu_arithmetic=DpuArithmetic(),
        equalize=Equalization(),
        correct_bias=True,
        shift_limits=ShiftLimits(),
    )

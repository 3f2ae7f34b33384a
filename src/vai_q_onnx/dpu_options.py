"""What `enable_dpu` adds to a recipe: the arithmetic of a DPU, and the limits of its shift registers.

Both are on by default, as documented; every step has a switch of its own among `extra_options`, and `SimulateDPU` and
`IPULimitationCheck` (`NPULimitationCheck`) have all of theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantforge.passes.dpu_arithmetic import DpuArithmetic
from quantforge.quantization.recipe import ShiftLimits

if TYPE_CHECKING:
    from vai_q_onnx.options import Options

SIMULATED = (
    "ConvertLeakyReluToDPUVersion",
    "ConvertSigmoidToHardSigmoid",
    "ConvertHardSigmoidToDPUVersion",
    "ConvertAvgPoolToDPUVersion",
    "ConvertReduceMeanToDPUVersion",
)
ADJUSTED = (
    "AdjustShiftCut",
    "AdjustShiftBias",
    "AdjustShiftRead",
    "AdjustShiftWrite",
    "AdjustHardSigmoid",
    "AdjustShiftSwish",
)


def arithmetic_of(options: Options) -> DpuArithmetic | None:
    """Which operators compute as a DPU does; None for none."""
    extra = options.extra
    if not options.enable_dpu or not extra["SimulateDPU"]:
        return None
    return DpuArithmetic(
        leaky_relu=extra["ConvertLeakyReluToDPUVersion"],
        every_slope=True,
        averages=extra["ConvertAvgPoolToDPUVersion"],
        means=extra["ConvertReduceMeanToDPUVersion"],
        hard_sigmoid=extra["ConvertHardSigmoidToDPUVersion"],
        sigmoid=extra["ConvertSigmoidToHardSigmoid"],
    )


def limits_of(options: Options) -> ShiftLimits | None:
    """The limits that positions are moved into; None for none."""
    extra = options.extra
    if not options.enable_dpu or not (extra["IPULimitationCheck"] and extra["NPULimitationCheck"]):
        return None
    return ShiftLimits(
        cut=extra["AdjustShiftCut"],
        bias=extra["AdjustShiftBias"],
        hard_sigmoid=extra["AdjustHardSigmoid"],
        hard_swish=extra["AdjustShiftSwish"],
        read=extra["AdjustShiftRead"],
        write=extra["AdjustShiftWrite"],
    )

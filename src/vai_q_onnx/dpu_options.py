"""What `enable_dpu` adds to a recipe: how the graph is written, a DPU's arithmetic, and the limits of its shifts.

All are on by default, as documented; every step has a switch of its own among `extra_options`, and `SimulateDPU` and
`IPULimitationCheck` (`NPULimitationCheck`) have all of theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantforge.passes.dpu_arithmetic import DpuArithmetic
from quantforge.passes.dpu_structure import DpuStructure
from quantforge.quantization.recipe import ShiftLimits

if TYPE_CHECKING:
    from vai_q_onnx.options import Options

SIMULATED = (
    "ConvertLeakyReluToDPUVersion",
    "ConvertSigmoidToHardSigmoid",
    "ConvertHardSigmoidToDPUVersion",
    "ConvertAvgPoolToDPUVersion",
    "ConvertReduceMeanToDPUVersion",
    "ConvertSoftmaxToDPUVersion",
)
REWRITTEN = {
    "ConvertBNToConv": "batch_norms",
    "ConvertReduceMeanToGlobalAvgPool": "means",
    "SplitLargeKernelPool": "large_pools",
    "ConvertSplitToSlice": "splits",
    "FuseInstanceNorm": "instance_norms",
    "FuseL2Norm": "l2_norms",
}
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
    clip = options.enable_dpu and extra["ConvertClipToRelu"]
    if not options.enable_dpu or not extra["SimulateDPU"]:
        off = DpuArithmetic(leaky_relu=False, averages=False, means=False, hard_sigmoid=False, clip=True)
        return off if clip else None
    return DpuArithmetic(
        clip=clip,
        leaky_relu=extra["ConvertLeakyReluToDPUVersion"],
        every_slope=True,
        averages=extra["ConvertAvgPoolToDPUVersion"],
        means=extra["ConvertReduceMeanToDPUVersion"],
        hard_sigmoid=extra["ConvertHardSigmoidToDPUVersion"],
        sigmoid=extra["ConvertSigmoidToHardSigmoid"],
        softmax=extra["ConvertSoftmaxToDPUVersion"],
    )


def structure_of(options: Options) -> DpuStructure | None:
    """How the graph is written; None for as it is."""
    if not options.enable_dpu:
        return None
    return DpuStructure(**{field: options.extra[name] for name, field in REWRITTEN.items()})


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
        leaky_bias=True,
    )

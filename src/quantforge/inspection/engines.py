"""The engines of a DPU as the rules name them, and the limits that its target file states."""

from __future__ import annotations

from collections.abc import Sequence

from quantforge.targets.dpu import DpuTarget, Engine, Limits

_SIDES = ("pad_left", "pad_right", "pad_top", "pad_bottom")


def engine_of(target: DpuTarget, choices: Sequence[str]) -> Engine | None:
    """The first engine of `choices` that `target` has; "alu:dwconv" is an ALU that lists the type dwconv.

    >>> from quantforge.targets.dpu import load_dpu
    >>> engine_of(load_dpu("DPUCZDX8G_ISA1_B4096"), ["depthwise", "alu:dwconv"]).weight_bank
    'DWCONVW'
    """
    engines = {
        "conv": target.conv,
        "eltwise": target.eltwise,
        "pool": target.pool,
        "depthwise": target.depthwise,
        "alu": target.alu,
    }
    for choice in choices:
        name, _, kind = choice.partition(":")
        engine = engines[name]
        if engine is not None and (not kind or kind in engine.types):
            return engine
    return None


def target_limits(
    target: DpuTarget, engine: Engine | None, kind: str, what: str, variable: str
) -> Limits | None:
    """The legal values of a variable of operator `kind` in the target file; None when it states none.

    Args:
        target: The DPU.
        engine: The engine that does the operator.
        kind: The operator; pools have limits of their own.
        what: "kernel", "stride" or "pad".
        variable: Such as kernel_w or pad_left.
    """
    if engine is None:
        return None
    if what == "pad":
        limits = engine.pad_limit
        return None if limits is None else limits[_SIDES.index(variable)]
    if engine is target.pool:
        rows = {
            "maxpool2d": {"kernel": engine.max_kernel, "stride": engine.max_stride},
            "avgpool2d": {"kernel": engine.avg_kernel, "stride": engine.avg_stride},
        }
        return rows[kind][what]
    return engine.kernel if what == "kernel" else engine.stride


def numbers_of(target: DpuTarget, depth: str) -> dict[str, int]:
    """The numbers of a DPU that the rules use.

    Args:
        target: The DPU.
        depth: Whose depth `bank_depth` is: "image" or "weight".

    >>> from quantforge.targets.dpu import load_dpu
    >>> numbers_of(load_dpu("DPUCZDX8G_ISA1_B4096"), "image")["bank_depth"]
    2048
    """
    image = target.image_banks[0]
    weight = target.bank(target.conv.weight_bank or "") or image
    return {
        "cp": target.conv.input_channel_parallel or 1,
        "ocp": target.conv.output_channel_parallel or 1,
        "bank_num": image.number,
        "bank_depth": (image if depth == "image" else weight).depth,
        "weight_width": weight.width,
        "weight_num": weight.number,
        "weight_depth": weight.depth,
    }

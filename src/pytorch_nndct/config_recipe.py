"""The JSON quantization configuration as a `Recipe`.

method          scale_type poweroftwo      float           statistic   over batches
maxmin          no overflow                min-max         modal       most common
diffs           least squared error        as mse          others      by name
percentile      of |x|, rounded up         percentile
mse             as diffs                   least squared error
entropy         rounded up                 least divergence

Symmetric formats have zero in the middle. An unsigned symmetric activation has its zero point at 0 as long as no
value is negative, which is what the original computes; where there are negative values, which it refuses, the zero
point moves. bfloat16 and float16 apply to every operator's result; graph inputs have them only where the file gives
inputs a datatype of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytorch_nndct.config import Config, LayerConfig, Tensors
from pytorch_nndct.config_checks import check_config
from pytorch_nndct.config_layers import kinds_of_type, path_of_name
from pytorch_nndct.config_values import KINDS, TensorConfig
from quantforge.calibration.methods import RangeMethod, ScaleKind, Statistic
from quantforge.numerics.formats import BFLOAT16, FLOAT16, FloatFormat, Format, IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.passes.dpu_arithmetic import DpuArithmetic
from quantforge.quantization.recipe import (
    DPU_PLACEMENT,
    BiasRule,
    BiasScale,
    Equalization,
    Override,
    Part,
    Placement,
    Recipe,
    ShiftLimits,
    TensorRule,
)

_FLOATS = {"bfloat16": BFLOAT16, "float16": FLOAT16}
_ROUNDINGS = {
    "half_even": Rounding.HALF_EVEN,
    "half_up": Rounding.HALF_UP,
    "half_down": Rounding.HALF_DOWN,
    "std_round": Rounding.HALF_AWAY,
}
_STATISTICS = {
    "modal": Statistic.MOST_COMMON,
    "max": Statistic.MAX,
    "mean": Statistic.MEAN,
    "median": Statistic.MEDIAN,
}
_METHODS = {
    "maxmin": RangeMethod.MIN_MAX,
    "diffs": RangeMethod.MSE,
    "mse": RangeMethod.MSE,
    "percentile": RangeMethod.PERCENTILE,
    "entropy": RangeMethod.ENTROPY,
}
_PARTS = {
    "input": Part.INPUTS,
    "weights": Part.WEIGHTS,
    "bias": Part.BIAS,
    "activation": Part.ACTIVATIONS,
}
_CPU_KINDS = (
    *DPU_PLACEMENT.kinds, "eltwise-div", "reduction-sum", "reduction-max", "reduction-min", "batchnorm", "layernorm",
    "groupnorm", "instancenorm", "gelu", "mish", "sqrt",
)  # fmt: skip
_CPU_PLACEMENT = Placement(_CPU_KINDS, ("relu", "relu6", "clip", "leaky-relu"))


def recipe_of(config: Config) -> Recipe:
    """The recipe that a configuration describes.

    Raises:
        InputError: Q1431 for layer types and names that say nothing, Q1432 for settings that conflict.
    """
    check_config(config)
    rules = {kind: _rule(config.tensors.get(kind)) for kind in KINDS}
    inputs = rules["input"]
    if isinstance(inputs.format, FloatFormat) and not config.own_input_type:
        inputs = replace(inputs, keep_float=True)
    return Recipe(
        name=f"torch-{config.target_device.lower()}",
        activations=rules["activation"],
        weights=rules["weights"],
        bias=_bias_rule(config.tensors.get("bias")),
        inputs=inputs,
        placement=_placement(config),
        replace_relu6=config.convert_relu6_to_relu,
        replace_swish=config.convert_silu_to_hswish,
        dpu_arithmetic=DpuArithmetic() if config.target_device == "DPU" else None,
        equalize=Equalization() if config.include_cle else None,
        correct_bias=config.include_bias_corr,
        shift_limits=_limits(config),
        overrides=tuple(override for layer in _ordered(config) for override in _overrides(layer)),
    )


def _rule(settings: TensorConfig | None) -> TensorRule:
    if settings is None or settings.datatype == "float32":
        return TensorRule(keep_float=True)
    if settings.datatype in _FLOATS:
        return TensorRule(_FLOATS[settings.datatype])
    scales, method = _scales_and_method(settings)
    return TensorRule(
        _format(settings),
        scales,
        symmetric=_is_symmetric(settings),
        per_channel=settings.per_channel,
        method=method,
        statistic=_STATISTICS[settings.calib_statistic_method],
        percentile=settings.percentage,
        rounding=_ROUNDINGS[settings.round_mode],
    )


def _bias_rule(settings: TensorConfig | None) -> BiasRule:
    rule = _rule(settings)
    return BiasRule(
        rule.format,
        BiasScale.FLOAT if rule.scales is ScaleKind.FLOAT else BiasScale.OWN,
        rule.method,
        rule.percentile,
        rule.symmetric,
        rule.rounding,
        rule.keep_float,
    )


def _format(settings: TensorConfig) -> Format:
    return IntFormat(settings.bit_width, settings.signed, settings.narrow_range and settings.signed)


def _is_symmetric(settings: TensorConfig) -> bool:
    return settings.symmetry and (settings.signed or settings.scale_type == "poweroftwo")


def _scales_and_method(settings: TensorConfig) -> tuple[ScaleKind, RangeMethod]:
    if settings.scale_type == "float":
        return ScaleKind.FLOAT, _METHODS[settings.method]
    method = RangeMethod.NON_OVERFLOW if settings.method == "maxmin" else _METHODS[settings.method]
    return ScaleKind.POWER_OF_TWO, method


def _all_tensors(config: Config) -> Iterator[TensorConfig]:
    for tensors in (config.tensors, *(layer.tensors for layer in config.layers)):
        yield from tensors.values()


def _has_float_formats(config: Config) -> bool:
    return any(settings.datatype in _FLOATS for settings in _all_tensors(config))


def _placement(config: Config) -> Placement:
    dpu = config.target_device in ("DPU", "FLEXML")
    base = DPU_PLACEMENT if dpu else _CPU_PLACEMENT
    pool, join = config.change_pool_input_fix, config.change_concat_input_fix
    return replace(
        base,
        align_pool=base.align_pool if pool is None else pool,
        align_join=base.align_join if join is None else join,
        every_value=_has_float_formats(config),
    )


def _limits(config: Config) -> ShiftLimits | None:
    if config.target_device not in ("DPU", "FLEXML") or _has_float_formats(config):
        return None
    return ShiftLimits() if config.target_device == "DPU" else ShiftLimits(least_cut=-1, least_bias=0)


def _ordered(config: Config) -> list[LayerConfig]:
    """Types first: what is said of a name beats what is said of its type."""
    return sorted(config.layers, key=lambda layer: layer.layer_name is not None)


def _overrides(layer: LayerConfig) -> Iterator[Override]:
    op = None if layer.layer_name is None else path_of_name(layer.layer_name, layer.where)
    kinds = () if layer.layer_type is None else kinds_of_type(layer.layer_type, layer.where)
    for kind, part in _PARTS.items():
        if kind in layer.tensors or kind != "input":
            yield replace(_override(layer.tensors, kind, op, kinds), part=part)


def _override(tensors: Tensors, kind: str, op: str | None, kinds: tuple[str, ...]) -> Override:
    rule = _rule(tensors.get(kind))
    if rule.keep_float:
        return Override(op=op, kinds=kinds, keep_float=True)
    if isinstance(rule.format, FloatFormat):
        return Override(op=op, kinds=kinds, format=rule.format)
    return Override(
        op=op,
        kinds=kinds,
        format=rule.format,
        scales=rule.scales,
        symmetric=rule.symmetric,
        per_channel=rule.per_channel,
        method=rule.method,
        statistic=rule.statistic,
        percentile=rule.percentile,
        rounding=rule.rounding,
    )

"""`quantize_static`'s arguments and `extra_options`, checked, and then as a `Recipe`.

Every documented key is in `EXTRA`, with its default. An unknown key is answered with Q0701 and the nearest known one,
a value of the wrong kind with Q0702, and a combination that the documents forbid with Q0704.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from quantforge.calibration.methods import RangeMethod, ScaleKind, Statistic
from quantforge.diagnostics import InputError, UnsupportedError
from quantforge.frontends.onnx.bfp_nodes import BfpAttributes
from quantforge.numerics.formats import Format, IntFormat
from quantforge.quantization.recipe import (
    CPU_PLACEMENT,
    DPU_PLACEMENT,
    Equalization,
    Placement,
    Recipe,
    TensorRule,
)
from vai_q_onnx.dpu_options import ADJUSTED, REWRITTEN, SIMULATED, arithmetic_of, limits_of, structure_of
from vai_q_onnx.enums import CalibrationMethod, PowerOfTwoMethod, QuantFormat, QuantType, VitisQuantFormat
from vai_q_onnx.formats import bias_rule, check_formats, format_of

_NOT_ON_A_DPU = ("UseUnsignedReLU", "Int16Scale", "extra.Sigmoid.nnapi")  # it has one kind of scale
ADAPTIVE_SWEEPS = 100  # CLESteps=-1: until nothing moves any more


@dataclass(frozen=True)
class Key:
    """One documented option: its `default`."""

    default: Any


_ON, _OFF = Key(True), Key(False)

EXTRA: dict[str, Key] = {
    "ActivationSymmetric": _OFF,
    "WeightSymmetric": Key(None),
    "UseUnsignedReLU": _OFF,
    "QuantizeBias": _ON,
    "RemoveInputInit": _ON,
    "EnableSubgraph": _OFF,
    "ForceQuantizeNoInputCheck": _OFF,
    "MatMulConstBOnly": _OFF,
    "AddQDQPairToWeight": _OFF,
    "OpTypesToExcludeOutputQuantization": Key([]),
    "DedicatedQDQPair": _OFF,
    "QDQOpTypePerChannelSupportToAxis": Key({}),
    "UseQDQVitisCustomOps": _ON,
    "CalibTensorRangeSymmetric": Key(None),
    "CalibMovingAverage": _OFF,
    "CalibMovingAverageConstant": Key(0.01),
    "RandomDataReaderInputDataRange": Key(None),
    "Int16Scale": _OFF,
    "MinMSEMode": Key("All"),
    "extra.Sigmoid.nnapi": _OFF,
    # changes of the graph for a DPU
    "ConvertBNToConv": _ON,
    "ConvertReduceMeanToGlobalAvgPool": _ON,
    "SplitLargeKernelPool": _ON,
    "ConvertSplitToSlice": _ON,
    "FuseInstanceNorm": _OFF,
    "FuseL2Norm": _OFF,
    "ConvertClipToRelu": _OFF,
    "RemoveQDQConvLeakyRelu": _OFF,
    "RemoveQDQConvPRelu": _OFF,
    # the arithmetic of a DPU, imitated in the float operators
    "SimulateDPU": _ON,
    "ConvertLeakyReluToDPUVersion": _ON,
    "ConvertSigmoidToHardSigmoid": _ON,
    "ConvertHardSigmoidToDPUVersion": _ON,
    "ConvertAvgPoolToDPUVersion": _ON,
    "ConvertReduceMeanToDPUVersion": _ON,
    "ConvertSoftmaxToDPUVersion": _OFF,
    # limits of its shifts
    "IPULimitationCheck": _ON,
    "NPULimitationCheck": _ON,
    "AdjustShiftCut": _ON,
    "AdjustShiftBias": _ON,
    "AdjustShiftRead": _ON,
    "AdjustShiftWrite": _ON,
    "AdjustHardSigmoid": _ON,
    "AdjustShiftSwish": _ON,
    "AlignConcat": _ON,
    "AlignPool": _ON,
    # cross-layer equalization
    "ReplaceClip6Relu": _OFF,
    "CLESteps": Key(1),
    "CLETotalLayerDiffThreshold": Key(2e-7),
    "CLEScaleAppendBias": _ON,
    # attributes of BFPFixNeuron
    **{name: Key(default) for name, default in BfpAttributes().as_node_attributes().items()},
}

# Options that act only under another argument; set to anything but their default without it, they get Q0707.
ONLY_WITH: dict[str, tuple[str, ...]] = {
    "enable_dpu": (
        "ConvertClipToRelu",
        "RemoveQDQConvLeakyRelu",
        "RemoveQDQConvPRelu",
        "SimulateDPU",
        "IPULimitationCheck",
        "NPULimitationCheck",
        "AlignConcat",
        "AlignPool",
        *REWRITTEN,
        *SIMULATED,
        *ADJUSTED,
    ),
    "activation_type=QuantType.QUInt8": ("extra.Sigmoid.nnapi",),
    "CLESteps=-1": ("CLETotalLayerDiffThreshold",),
    "per_channel": ("QDQOpTypePerChannelSupportToAxis",),
    "include_cle": ("CLESteps", "CLEScaleAppendBias"),
    "quant_format=QuantFormat.QDQ": ("AddQDQPairToWeight",),
    "quant_format=VitisQuantFormat.QDQ": ("UseQDQVitisCustomOps",),
    "quant_format=VitisQuantFormat.BFPFixNeuron": tuple(BfpAttributes().as_node_attributes()),
    "calibration_data_reader=None": ("RandomDataReaderInputDataRange",),
    "CalibMovingAverage": ("CalibMovingAverageConstant",),
    "PowerOfTwoMethod.MinMSE": ("MinMSEMode",),
}

_METHODS = {
    PowerOfTwoMethod.NonOverflow: RangeMethod.NON_OVERFLOW,
    PowerOfTwoMethod.MinMSE: RangeMethod.MSE,
    CalibrationMethod.MinMax: RangeMethod.MIN_MAX,
    CalibrationMethod.Entropy: RangeMethod.ENTROPY,
    CalibrationMethod.Percentile: RangeMethod.PERCENTILE,
}


@dataclass(frozen=True)
class Options:
    """What `quantize_static` was asked for; the defaults are its own."""

    quant_format: Any = QuantFormat.QDQ
    calibrate_method: Any = PowerOfTwoMethod.MinMSE
    activation_type: Any = QuantType.QInt8
    weight_type: Any = QuantType.QInt8
    per_channel: bool = False
    reduce_range: bool = False
    optimize_model: bool = True
    enable_dpu: bool = False
    include_cle: bool = False
    random_data: bool = False
    extra: Mapping[str, Any] = field(default_factory=lambda: checked_extra(None))

    @property
    def power_of_two(self) -> bool:
        """Whether scales are powers of two."""
        return isinstance(self.calibrate_method, PowerOfTwoMethod)

    def without_effect(self) -> tuple[tuple[str, str], ...]:
        """Options that were changed but do nothing here, each with what it needs."""
        active = {
            "enable_dpu": self.enable_dpu,
            "include_cle": self.include_cle,
            "per_channel": self.per_channel,
            "activation_type=QuantType.QUInt8": self.activation_type is QuantType.QUInt8,
            "CLESteps=-1": self.include_cle and self.extra["CLESteps"] == -1,
            "calibration_data_reader=None": self.random_data,
            "CalibMovingAverage": self.extra["CalibMovingAverage"],
            "PowerOfTwoMethod.MinMSE": self.calibrate_method is PowerOfTwoMethod.MinMSE,
            "quant_format=QuantFormat.QDQ": self.quant_format is QuantFormat.QDQ,
            "quant_format=VitisQuantFormat.QDQ": self.quant_format is VitisQuantFormat.QDQ,
            "quant_format=VitisQuantFormat.BFPFixNeuron": self.quant_format is VitisQuantFormat.BFPFixNeuron,
        }
        return tuple(
            (name, condition)
            for condition, names in ONLY_WITH.items()
            for name in names
            if not active.get(condition, False) and self.extra[name] != EXTRA[name].default
        )


def checked_extra(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """`extra_options` with every default filled in; None stands for a default.

    Raises:
        InputError: Q0701 for an unknown key, Q0702 for a value of the wrong type.
    """
    if options is not None and not isinstance(options, Mapping):
        raise wrong_value("extra_options", options, "a dictionary", "{'ActivationSymmetric': True}")
    found = {name: key.default for name, key in EXTRA.items()}
    for name, value in (options or {}).items():
        key = EXTRA.get(name)
        if key is None:
            near = difflib.get_close_matches(str(name), EXTRA, n=1, cutoff=0.4)
            fix = repr(near[0]) if near else "leave it out"
            raise InputError("Q0701", "extra_options", f"key {name!r}", "a documented option", fix)
        if value is None:
            continue
        where = f"extra_options[{name!r}]"
        boolean = isinstance(key.default, bool) or name in ("WeightSymmetric", "CalibTensorRangeSymmetric")
        if boolean and not isinstance(value, bool):
            raise wrong_value(where, value, "True or False", repr(bool(value)))
        found[name] = value
    return found


def not_built(where: str, value: object, built: object) -> UnsupportedError:
    """The answer to a documented option that is not built yet: Q0703."""
    return UnsupportedError(
        "Q0703", where, f"{value}", f"{built}, the only value built so far", "leave this option out"
    )


def wrong_value(where: str, value: object, expected: str, fix: str) -> InputError:
    """The answer to a value that an option cannot have: Q0702."""
    return InputError("Q0702", where, repr(value), expected, fix)


def recipe_of(options: Options) -> Recipe:
    """The recipe that `options` describe.

    Raises:
        InputError: Q0702 for values that an option cannot have, Q0704 for combinations the documents forbid.
        UnsupportedError: Q0703 for formats and types that are not built yet.
    """
    _check_values(options)
    _check_combinations(options)
    weights = format_of("weight_type", options.weight_type)
    return Recipe(
        name="vai_q_onnx",
        activations=_activations(options),
        weights=TensorRule(
            format=_reduced(weights) if options.reduce_range else weights,
            scales=ScaleKind.POWER_OF_TWO if options.power_of_two else ScaleKind.FLOAT,
            symmetric=_symmetric_weights(options),
            per_channel=options.per_channel,
            method=_METHODS[options.calibrate_method] if options.power_of_two else RangeMethod.MIN_MAX,
        ),
        bias=replace(
            bias_rule(options, format_of("activation_type", options.activation_type), weights),
            keep_float=not options.extra["QuantizeBias"],
        ),
        placement=_placement(options),
        fold_batch_norm=options.optimize_model,
        remove_identity=options.optimize_model,
        replace_relu6=options.extra["ReplaceClip6Relu"],
        equalize=_equalization(options),
        dpu_structure=structure_of(options),
        dpu_arithmetic=arithmetic_of(options),
        int16_scales=options.extra["Int16Scale"],
        unit_sigmoids=options.extra["extra.Sigmoid.nnapi"],
        shift_limits=limits_of(options),
    )


def _activations(options: Options) -> TensorRule:
    extra = options.extra
    around_zero = extra["CalibTensorRangeSymmetric"]
    around_zero = options.power_of_two if around_zero is None else around_zero
    return TensorRule(
        format=format_of("activation_type", options.activation_type),
        scales=ScaleKind.POWER_OF_TWO if options.power_of_two else ScaleKind.FLOAT,
        symmetric=options.enable_dpu or extra["ActivationSymmetric"] or around_zero,
        method=_METHODS[options.calibrate_method],
        statistic=_statistic(options),
        moving_average=_averaging(options),
    )


def _symmetric_weights(options: Options) -> bool:
    """True by default for signed weights, as in ONNX Runtime; constants with power-of-two scales always are."""
    asked = options.extra["WeightSymmetric"]
    form = format_of("weight_type", options.weight_type)
    signed = isinstance(form, IntFormat) and form.signed
    return options.power_of_two or (signed if asked is None else bool(asked))


def _reduced(form: Format) -> Format:
    """One bit less; a float format has none to spare."""
    return IntFormat(form.bits - 1, signed=form.signed) if isinstance(form, IntFormat) else form


def _check_values(options: Options) -> None:
    method = options.calibrate_method
    if not isinstance(method, (PowerOfTwoMethod, CalibrationMethod)):
        expected = "a PowerOfTwoMethod or a CalibrationMethod"
        fix = (
            "give all arguments behind calibration_data_reader by name: their order differs between releases"
        )
        raise wrong_value("calibrate_method", method, expected, fix)
    if method not in _METHODS:
        raise not_built("calibrate_method", method, ", ".join(map(str, _METHODS)))
    check_formats(options)


def _check_combinations(options: Options) -> None:
    extra = options.extra
    if options.enable_dpu:
        wrong = [f"{name}=True" for name in ("per_channel", "reduce_range") if getattr(options, name)]
        if not options.power_of_two:
            wrong.append(f"calibrate_method={options.calibrate_method}")
        if options.weight_type is not QuantType.QInt8:
            wrong.append(f"weight_type={options.weight_type!s}")
        names = ("WeightSymmetric", "CalibTensorRangeSymmetric")
        wrong += [f"{name}=False" for name in (*names, "QuantizeBias") if extra[name] is False]
        wrong += [f"{name}=True" for name in _NOT_ON_A_DPU if extra[name]]
        if wrong:
            expected = "int8 weights and biases, one power-of-two scale per tensor, symmetric"
            raise forbidden("enable_dpu=True", wrong[0], expected, "leave it out, or set enable_dpu=False")
    if extra["WeightSymmetric"] is False and (options.per_channel or options.power_of_two):
        where = "per_channel=True" if options.per_channel else f"calibrate_method={options.calibrate_method}"
        raise forbidden(where, "WeightSymmetric=False", "symmetric weights", "leave WeightSymmetric out")
    if not extra["QuantizeBias"] and options.quant_format is QuantFormat.QOperator:
        fix = "quant_format=QuantFormat.QDQ, or leave QuantizeBias out"
        raise forbidden(
            "quant_format=QOperator", "QuantizeBias=False", "int32 biases, as its operators have", fix
        )
    if extra["Int16Scale"] and isinstance(options.quant_format, VitisQuantFormat):
        fix = "quant_format=QuantFormat.QDQ, or leave Int16Scale out"
        raise forbidden(
            f"quant_format={options.quant_format}", "Int16Scale=True", "the standard's operators", fix
        )
    if extra["CalibMovingAverage"] and options.calibrate_method is not CalibrationMethod.MinMax:
        where = f"calibrate_method={options.calibrate_method}"
        fix = "CalibrationMethod.MinMax, or leave CalibMovingAverage out"
        raise forbidden(where, "CalibMovingAverage=True", "CalibMovingAverage with min-max only", fix)


def forbidden(where: str, found: str, expected: str, fix: str) -> InputError:
    """The answer to a combination that the documents forbid: Q0704."""
    return InputError("Q0704", where, found, expected, fix)


def _statistic(options: Options) -> Statistic:
    modes = {"All": Statistic.ALL, "MostCommon": Statistic.MOST_COMMON}
    mode = options.extra["MinMSEMode"]
    if mode not in modes:
        raise wrong_value("extra_options['MinMSEMode']", mode, "'All' or 'MostCommon'", "'All'")
    return modes[mode] if options.calibrate_method is PowerOfTwoMethod.MinMSE else Statistic.ALL


def _averaging(options: Options) -> float | None:
    constant = options.extra["CalibMovingAverageConstant"]
    if not isinstance(constant, (int, float)) or not 0 < constant <= 1:
        where = "extra_options['CalibMovingAverageConstant']"
        raise wrong_value(where, constant, "a number above 0 and at most 1", "0.01")
    return float(constant) if options.extra["CalibMovingAverage"] else None


def _placement(options: Options) -> Placement:
    forced = options.extra["ForceQuantizeNoInputCheck"]
    if not options.enable_dpu:
        return replace(CPU_PLACEMENT, force_moves=forced)
    switches = {"leaky-relu": "RemoveQDQConvLeakyRelu", "prelu": "RemoveQDQConvPRelu"}
    off = {kind for kind, switch in switches.items() if not options.extra[switch]}
    return replace(
        DPU_PLACEMENT,
        kinds=(*DPU_PLACEMENT.kinds, "instancenorm", "l2-normalize"),
        fused=_without(DPU_PLACEMENT.fused, off),
        align_pool=options.extra["AlignPool"],
        align_join=options.extra["AlignConcat"],
        separate_join=True,
        float_output_joins=False,  # AlignConcat is about the last concat too
        force_moves=forced,
    )


def _without(kinds: tuple[str, ...], off: Collection[str]) -> tuple[str, ...]:
    return tuple(kind for kind in kinds if kind not in off)


def _equalization(options: Options) -> Equalization | None:
    steps = options.extra["CLESteps"]
    if type(steps) is not int or steps < -1:
        raise wrong_value("extra_options['CLESteps']", steps, "-1, 0 or a positive integer", "1")
    if not options.include_cle or steps == 0:
        return None
    sweeps = ADAPTIVE_SWEEPS if steps == -1 else steps
    # A bias counts through the values it leads to: the original adds a scaled-down bias to the weights instead.
    least = options.extra["CLETotalLayerDiffThreshold"]
    if type(least) not in (int, float) or not least >= 0:
        raise wrong_value("extra_options['CLETotalLayerDiffThreshold']", least, "a number from 0 on", "2e-7")
    with_values = options.extra["CLEScaleAppendBias"]
    return Equalization(sweeps, activations=with_values, least_change=float(least) if steps == -1 else None)

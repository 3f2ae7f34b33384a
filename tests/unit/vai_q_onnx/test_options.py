"""Every documented option: read, refused with a code, or part of the recipe."""

from __future__ import annotations

from typing import Any

import pytest

from quantforge.calibration.methods import RangeMethod, ScaleKind, Statistic
from quantforge.diagnostics import InputError, UnsupportedError
from quantforge.numerics.formats import INT8, INT32, UINT8, IntFormat
from quantforge.quantization.fit import check_fit
from quantforge.quantization.recipe import DPU_PLACEMENT, BiasRule, BiasScale
from quantforge.targets import load_target
from vai_q_onnx.enums import (
    CalibrationMethod,
    PowerOfTwoMethod,
    QuantType,
)
from vai_q_onnx.options import EXTRA, ONLY_WITH, Options, checked_extra, recipe_of

DPU = {"enable_dpu": True}


def options(extra: dict[str, Any] | None = None, **arguments: Any) -> Options:
    return Options(extra=checked_extra(extra), **arguments)


def other(default: Any) -> Any:
    """A value of the same type that is not the default."""
    return {
        bool: not default,
        list: ["Conv"],
        dict: {"MatMul": 1},
        float: 0.5,
        int: 3,
        str: "MostCommon",
    }.get(type(default), True)


@pytest.mark.parametrize("name", EXTRA)
def test_every_key_is_accepted_at_its_default_and_as_none(name: str) -> None:
    default = EXTRA[name].default
    assert (
        checked_extra({name: default})
        == checked_extra({name: None})
        == checked_extra({})
        == checked_extra(None)
    )
    assert checked_extra(None)[name] == default


@pytest.mark.parametrize("name", EXTRA)
def test_every_key_takes_another_value(name: str) -> None:
    value = other(EXTRA[name].default)
    assert checked_extra({name: value})[name] == value


@pytest.mark.parametrize("name", [name for name, key in EXTRA.items() if isinstance(key.default, bool)])
def test_a_switch_takes_only_true_and_false(name: str) -> None:
    with pytest.raises(
        InputError, match=rf"Q0702 extra_options\['{name}'\]: found 1; expected True or False"
    ):
        checked_extra({name: 1})


def test_every_conditional_option_is_known() -> None:
    assert {name for names in ONLY_WITH.values() for name in names} <= set(EXTRA)


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("ActivationSymetric", "ActivationSymmetric"),
        ("CLEStep", "CLESteps"),
        ("AdjustShiftcut", "AdjustShiftCut"),
    ],
)
def test_an_unknown_key_suggests_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(InputError, match=rf"Q0701 extra_options: found key '{wrong}'; .*try: '{near}'"):
        checked_extra({wrong: True})


def test_a_key_like_no_other_is_to_be_left_out() -> None:
    with pytest.raises(InputError, match=r"Q0701 .*try: leave it out"):
        checked_extra({"@@@@": True})


def test_extra_options_is_a_dictionary() -> None:
    with pytest.raises(InputError, match=r"Q0702 extra_options: found \['CLESteps'\]; expected a dictionary"):
        checked_extra(["CLESteps"])  # type: ignore[arg-type]


def test_the_configuration_for_a_cnn_on_an_npu() -> None:
    recipe = recipe_of(options({"ActivationSymmetric": True}, activation_type=QuantType.QUInt8, **DPU))
    assert (recipe.activations.format, recipe.weights.format) == (UINT8, INT8)
    assert recipe.activations.symmetric and recipe.weights.symmetric and not recipe.weights.per_channel
    assert recipe.activations.scales is recipe.weights.scales is ScaleKind.POWER_OF_TWO
    assert recipe.activations.method is recipe.weights.method is RangeMethod.MSE
    assert recipe.bias == BiasRule(INT8, BiasScale.OWN)
    assert recipe.placement.align_pool
    assert not recipe.placement.float_output_joins  # AlignConcat
    check_fit(recipe, load_target("npu"))


def test_the_configuration_for_a_transformer_on_an_npu() -> None:
    recipe = recipe_of(options(calibrate_method=CalibrationMethod.MinMax))
    assert (recipe.activations.format, recipe.weights.format) == (INT8, INT8)
    assert recipe.activations.scales is recipe.weights.scales is ScaleKind.FLOAT
    assert recipe.activations.method is RangeMethod.MIN_MAX
    assert not recipe.activations.symmetric and recipe.weights.symmetric
    assert recipe.bias == BiasRule(INT32, BiasScale.PRODUCT)
    check_fit(recipe, load_target("npu"))


def test_the_configuration_for_a_cnn_on_a_cpu() -> None:
    arguments = {"calibrate_method": CalibrationMethod.MinMax, "activation_type": QuantType.QUInt8}
    recipe = recipe_of(options(**arguments))
    assert recipe.activations.format == UINT8 and not recipe.activations.symmetric
    assert recipe_of(options(per_channel=True, **arguments)).weights.per_channel
    check_fit(recipe, load_target("cpu"))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (PowerOfTwoMethod.NonOverflow, RangeMethod.NON_OVERFLOW),
        (PowerOfTwoMethod.MinMSE, RangeMethod.MSE),
        (CalibrationMethod.MinMax, RangeMethod.MIN_MAX),
        (CalibrationMethod.Entropy, RangeMethod.ENTROPY),
        (CalibrationMethod.Percentile, RangeMethod.PERCENTILE),
    ],
)
def test_every_method(method: Any, expected: RangeMethod) -> None:
    recipe = recipe_of(options(calibrate_method=method))
    assert recipe.activations.method is expected
    power_of_two = isinstance(method, PowerOfTwoMethod)
    assert recipe.weights.method is (expected if power_of_two else RangeMethod.MIN_MAX)
    assert recipe.activations.symmetric is power_of_two


@pytest.mark.parametrize(
    ("extra", "symmetric"),
    [
        ({}, True),
        ({"CalibTensorRangeSymmetric": False}, False),
        ({"CalibTensorRangeSymmetric": False, "ActivationSymmetric": True}, True),
    ],
)
def test_symmetry_of_activations_with_powers_of_two(extra: dict[str, Any], symmetric: bool) -> None:
    assert recipe_of(options(extra)).activations.symmetric is symmetric


def test_symmetry_of_weights_follows_their_type() -> None:
    floats = {"calibrate_method": CalibrationMethod.MinMax}
    assert not recipe_of(options(weight_type=QuantType.QUInt8, **floats)).weights.symmetric
    assert recipe_of(
        options({"WeightSymmetric": True}, weight_type=QuantType.QUInt8, **floats)
    ).weights.symmetric
    assert not recipe_of(options({"WeightSymmetric": False}, **floats)).weights.symmetric


def test_the_smaller_switches() -> None:
    assert recipe_of(options(reduce_range=True)).weights.format == IntFormat(7)
    recipe = recipe_of(options(optimize_model=False))
    assert not recipe.fold_batch_norm and not recipe.remove_identity
    assert recipe_of(options({"ReplaceClip6Relu": True})).replace_relu6
    assert recipe_of(options({"MinMSEMode": "MostCommon"})).activations.statistic is Statistic.MOST_COMMON
    moving = {"CalibMovingAverage": True, "CalibMovingAverageConstant": 0.25}
    assert (
        recipe_of(options(moving, calibrate_method=CalibrationMethod.MinMax)).activations.moving_average
        == 0.25
    )
    assert not recipe_of(options({"AlignPool": False}, **DPU)).placement.align_pool


def test_leaky_activations_join_their_convolution_only_when_asked() -> None:
    without = recipe_of(options(**DPU)).placement.fused
    assert "leaky-relu" not in without and "prelu" not in without and "relu" in without
    asked = {"RemoveQDQConvLeakyRelu": True, "RemoveQDQConvPRelu": True}
    assert recipe_of(options(asked, **DPU)).placement.fused == DPU_PLACEMENT.fused


@pytest.mark.parametrize(("steps", "sweeps"), [(1, 1), (5, 5), (-1, 100)])
def test_equalization(steps: int, sweeps: int) -> None:
    found = recipe_of(options({"CLESteps": steps}, include_cle=True)).equalize
    assert found is not None and found.sweeps == sweeps and found.activations
    without = recipe_of(options({"CLESteps": steps, "CLEScaleAppendBias": False}, include_cle=True)).equalize
    assert without is not None and not without.activations and not without.include_bias
    assert found.least_change == (2e-7 if steps == -1 else None)
    assert recipe_of(options({"CLESteps": 0}, include_cle=True)).equalize is None
    assert recipe_of(options()).equalize is None


def test_a_calibration_method_of_onnx_runtime_that_is_not_built() -> None:
    with pytest.raises(
        UnsupportedError, match=r"Q0703 calibrate_method: found CalibrationMethod.Distribution"
    ):
        recipe_of(options(calibrate_method=CalibrationMethod.Distribution))


def test_the_positional_order_of_older_releases_is_answered() -> None:
    with pytest.raises(InputError, match=r"Q0702 calibrate_method: found \['conv1'\]; .*order differs"):
        recipe_of(options(calibrate_method=["conv1"]))


@pytest.mark.parametrize(
    ("extra", "arguments", "text"),
    [
        ({}, {**DPU, "per_channel": True}, "Q0704 enable_dpu=True: found per_channel=True"),
        ({}, {**DPU, "reduce_range": True}, "Q0704 enable_dpu=True: found reduce_range=True"),
        (
            {},
            {**DPU, "calibrate_method": CalibrationMethod.MinMax},
            "Q0704 enable_dpu=True: found calibrate_method=.*MinMax",
        ),
        ({}, {**DPU, "weight_type": QuantType.QUInt8}, "Q0704 enable_dpu=True: found weight_type=QUInt8"),
        ({"WeightSymmetric": False}, DPU, "Q0704 enable_dpu=True: found WeightSymmetric=False"),
        (
            {"CalibTensorRangeSymmetric": False},
            DPU,
            "Q0704 enable_dpu=True: found CalibTensorRangeSymmetric=False",
        ),
        ({"WeightSymmetric": False}, {}, "Q0704 calibrate_method=.*MinMSE: found WeightSymmetric=False"),
        (
            {"WeightSymmetric": False},
            {"per_channel": True, "calibrate_method": CalibrationMethod.MinMax},
            "Q0704 per_channel=True: found WeightSymmetric=False",
        ),
        ({"CalibMovingAverage": True}, {}, "Q0704 calibrate_method=.*MinMSE: found CalibMovingAverage=True"),
    ],
)
def test_combinations_that_the_documents_forbid(extra: Any, arguments: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        recipe_of(options(extra, **arguments))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MinMSEMode", "Most", "'All' or 'MostCommon'"),
        ("CLESteps", -2, "-1, 0 or a positive integer"),
        ("CLESteps", "1", "-1, 0 or a positive integer"),
        ("CLETotalLayerDiffThreshold", -1.0, "a number from 0 on"),
        ("CalibMovingAverageConstant", 0, "a number above 0 and at most 1"),
    ],
)
def test_values_out_of_bounds(name: str, value: Any, expected: str) -> None:
    with pytest.raises(
        InputError, match=rf"Q0702 extra_options\['{name}'\]: found {value!r}; expected {expected}"
    ):
        recipe_of(options({name: value}, include_cle=True))


def test_options_that_act_only_with_another_one() -> None:
    extra = {"SimulateDPU": False, "CLESteps": 4, "UseQDQVitisCustomOps": False, "MinMSEMode": "MostCommon"}
    found = options(extra, calibrate_method=CalibrationMethod.MinMax).without_effect()
    assert dict(found) == {
        "SimulateDPU": "enable_dpu",
        "CLESteps": "include_cle",
        "UseQDQVitisCustomOps": "quant_format=VitisQuantFormat.QDQ",
        "MinMSEMode": "PowerOfTwoMethod.MinMSE",
    }
    del extra["UseQDQVitisCustomOps"]
    assert options(extra, include_cle=True, **DPU).without_effect() == ()

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.config import parse_config
from pytorch_nndct.config_recipe import recipe_of
from quantforge.calibration.methods import RangeMethod, ScaleKind, Statistic
from quantforge.diagnostics import InputError
from quantforge.frontends.torch.recipes import dpu_recipe
from quantforge.numerics.formats import BFLOAT16, FLOAT16, UINT8, IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.quantization.recipe import BiasRule, BiasScale, Part, Recipe, ShiftLimits, TensorRule

FLOAT = {
    "scale_type": "float",
    "method": "maxmin",
    "round_mode": "half_even",
    "calib_statistic_method": "max",
}


def recipe(data: dict[str, Any]) -> Recipe:
    return recipe_of(parse_config(data))


def test_an_empty_file_is_the_default_recipe_with_the_documented_statistic() -> None:
    found, default = recipe({}), dpu_recipe()
    modal = replace(default.activations, statistic=Statistic.MOST_COMMON, percentile=99.99)
    assert found.activations == modal
    assert found.weights == replace(modal, rounding=Rounding.HALF_AWAY)
    assert found.inputs == replace(modal, rounding=Rounding.HALF_AWAY)
    assert found.bias == replace(default.bias, percentile=99.99)
    assert (found.placement, found.shift_limits) == (default.placement, ShiftLimits())
    assert found.correct_bias and found.equalize == default.equalize
    assert not found.replace_relu6  # convert_relu6_to_relu is false unless the file says otherwise


@pytest.mark.parametrize(
    ("method", "scale", "want"),
    [
        ("maxmin", "float", RangeMethod.MIN_MAX),
        ("percentile", "float", RangeMethod.PERCENTILE),
        ("mse", "float", RangeMethod.MSE),
        ("entropy", "float", RangeMethod.ENTROPY),
        ("maxmin", "poweroftwo", RangeMethod.NON_OVERFLOW),
        ("diffs", "poweroftwo", RangeMethod.MSE),
    ],
)
def test_methods(method: str, scale: str, want: RangeMethod) -> None:
    statistic = "max" if scale == "float" else "modal"
    overall = {"method": method, "scale_type": scale, "calib_statistic_method": statistic, "percentage": 98.5}
    found = recipe({"target_device": "CPU", "overall_quantize_config": overall})
    assert found.activations.method is found.weights.method is found.bias.method is want
    assert found.activations.percentile == 98.5
    assert found.activations.scales is (ScaleKind.FLOAT if scale == "float" else ScaleKind.POWER_OF_TWO)
    assert found.bias.scale is (BiasScale.FLOAT if scale == "float" else BiasScale.OWN)
    assert found.shift_limits is None


@pytest.mark.parametrize(
    ("word", "statistic"), [("max", Statistic.MAX), ("mean", Statistic.MEAN), ("median", Statistic.MEDIAN)]
)
def test_statistics(word: str, statistic: Statistic) -> None:
    data = {"target_device": "CPU", "overall_quantize_config": {**FLOAT, "calib_statistic_method": word}}
    assert recipe(data).activations.statistic is statistic


@pytest.mark.parametrize(
    ("word", "rounding"),
    [
        ("half_even", Rounding.HALF_EVEN),
        ("half_up", Rounding.HALF_UP),
        ("half_down", Rounding.HALF_DOWN),
        ("std_round", Rounding.HALF_AWAY),
    ],
)
def test_roundings(word: str, rounding: Rounding) -> None:
    found = recipe({"target_device": "CPU", "overall_quantize_config": {**FLOAT, "round_mode": word}})
    assert found.activations.rounding is found.weights.rounding is found.bias.rounding is rounding


def test_formats_widths_and_symmetry() -> None:
    tensors = {
        "weights": {"bit_width": 4, "narrow_range": True},
        "bias": {"bit_width": 32},
        "activation": {"symmetry": False, "signed": False},
        "input": {"signed": False},
    }
    data = {
        "target_device": "CPU",
        "overall_quantize_config": FLOAT,
        "tensor_quantize_config": tensors,
    }
    found = recipe(data)
    assert found.weights.format == IntFormat(4, narrow=True) and found.bias.format == IntFormat(32)
    assert (found.activations.format, found.activations.symmetric) == (UINT8, False)
    assert found.inputs is not None and (found.inputs.format, found.inputs.symmetric) == (UINT8, False)


def test_float_datatypes_reach_every_value_but_graph_inputs() -> None:
    found = recipe({"target_device": "CPU", "overall_quantize_config": {"datatype": "bfloat16"}})
    assert found.activations == found.weights == TensorRule(BFLOAT16)
    assert found.placement.every_value and found.inputs == TensorRule(BFLOAT16, keep_float=True)
    own = {"tensor_quantize_config": {"input": {"datatype": "float16"}, "bias": {"datatype": "float32"}}}
    found = recipe({"overall_quantize_config": {"datatype": "bfloat16"}, **own})
    assert found.inputs == TensorRule(FLOAT16) and found.bias.keep_float
    assert found.shift_limits is None


def test_kinds_that_are_not_listed_stay_in_float() -> None:
    found = recipe({"quantizable_data_type": ["weights"]})
    assert found.activations.keep_float and found.bias.keep_float
    assert found.inputs is not None and found.inputs.keep_float and not found.weights.keep_float


def test_options_of_the_model() -> None:
    found = recipe(
        {
            "target_device": "FLEXML",
            "include_cle": False,
            "include_bias_corr": False,
            "convert_relu6_to_relu": True,
            "change_concat_input_fix": False,
            "change_pool_input_fix": False,
        }
    )
    assert found.name == "torch-flexml" and found.equalize is None and not found.correct_bias
    assert found.replace_relu6 and not found.placement.align_join and not found.placement.align_pool
    assert found.shift_limits == ShiftLimits(least_cut=-1, least_bias=0)


def test_layers_by_name_come_after_layers_by_type() -> None:
    kinds = ["weights", "bias", "activation"]
    data = {
        "target_device": "CPU",
        "overall_quantize_config": FLOAT,
        "layer_quantize_config": [
            {
                "layer_name": "Net::Net/Conv2d[conv1]/ret.1",
                "quantizable_data_type": ["weights"],
                "overall_quantize_config": {"bit_width": 4},
            },
            {
                "layer_type": "torch.nn.Conv2d",
                "quantizable_data_type": kinds,
                "tensor_quantize_config": {"weights": {"per_channel": True}, "bias": {"datatype": "float32"}},
            },
        ],
    }
    by_type, by_name = recipe(data).overrides[:3], recipe(data).overrides[3:]
    assert [override.part for override in by_type] == [Part.WEIGHTS, Part.BIAS, Part.ACTIVATIONS]
    assert {override.kinds for override in by_type} == {("conv2d", "depthwise-conv2d")}
    assert by_type[0].per_channel and by_type[1].keep_float and by_type[2].format == IntFormat(8)
    assert [override.op for override in by_name] == ["conv1"] * 3
    assert [override.keep_float for override in by_name] == [False, True, True]
    assert by_name[0].format == IntFormat(4)


def test_conflicts_are_refused() -> None:
    with pytest.raises(InputError, match="Q1432"):
        recipe({"overall_quantize_config": {"symmetry": False}})


def test_replacements_follow_their_flags_and_constants_the_device() -> None:
    assert recipe({"convert_silu_to_hswish": True}).replace_swish and not recipe({}).replace_swish
    assert recipe({"convert_relu6_to_relu": True}).replace_relu6 and not recipe({}).replace_relu6
    assert recipe({}).dpu_arithmetic == dpu_recipe().dpu_arithmetic is not None
    assert recipe({"target_device": "CPU", "overall_quantize_config": FLOAT}).dpu_arithmetic is None


def test_a_bias_keeps_every_setting() -> None:
    overall = {**FLOAT, "method": "percentile", "percentage": 98.0, "symmetry": False}
    found = recipe({"target_device": "CPU", "overall_quantize_config": overall})
    assert found.bias == BiasRule(
        IntFormat(8), BiasScale.FLOAT, RangeMethod.PERCENTILE, 98.0, False, Rounding.HALF_EVEN
    )

"""Each rule on a tensor made to show it, and the division of the loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.calibration.methods import RangeMethod
from quantforge.graph import QuantSpec
from quantforge.numerics.formats import FLOAT16, INT8, INT16, INT32, UINT8, IntFormat
from quantforge.quantization.diagnose import (
    channel_spread,
    diagnose,
    find_culprits,
    grid_range,
    loss_shares,
)
from quantforge.quantization.recipe import Equalization, Recipe, named_recipe
from quantforge.quantization.recipe_file import patch_recipe
from quantforge.quantization.report import Cause, LayerReport, TensorKind, TensorReport, relative_noise
from tests.unit.reporting.samples import histogram

# before equalization, which is what some of the remedies propose
CPU_CNN, DPU_CNN = (replace(named_recipe(name), equalize=None) for name in ("cpu", "dpu"))
NORMAL = np.random.default_rng(3).standard_normal(20_000)  # reaches about 4


def activation(values: np.ndarray, spec: QuantSpec, **fields: object) -> TensorReport:
    low, high = grid_range(spec)
    tensor = TensorReport(
        "t", TensorKind.ACTIVATION, spec, float(values.min()), float(values.max()), "op",
        float(((values < low) | (values > high)).mean()), 20.0, "min-max", histogram(values),
    )  # fmt: skip
    return replace(tensor, **fields)  # type: ignore[arg-type]


def symmetric(reach: float, format: IntFormat = INT8) -> QuantSpec:
    return QuantSpec(format, (reach / format.qmax,), (0,))


def power(position: int) -> QuantSpec:
    return QuantSpec.power_of_two(INT8, position)


# name, tensor, recipe, cause, words of the reason, remedy
CASES = [
    ("saturated", activation(NORMAL, symmetric(1.0), method="mse"), CPU_CNN, Cause.SATURATED,
     "31.54% of its values lie outside its grid", 'method = "min-max"'),
    ("saturated on a DPU", activation(NORMAL, power(7), method="mse"), DPU_CNN, Cause.SATURATED,
     "clipping them costs more than rounding", 'method = "non-overflow"'),
    ("saturated whatever the method", activation(NORMAL, symmetric(1.0)), CPU_CNN, Cause.SATURATED,
     "outside its grid", 'format = "int16"'),
    ("saturated without histogram", activation(NORMAL, symmetric(1.0), histogram=None, method="mse"), CPU_CNN,
     Cause.SATURATED, "outside its grid", 'method = "min-max"'),
    ("outliers", activation(np.append(NORMAL, 90.0), symmetric(90.0)), CPU_CNN, Cause.OUTLIERS,
     "99.9% of its values stay below 3.741", 'method = "percentile"\npercentile = 99.99'),
    ("outliers whatever the percentile", activation(np.append(NORMAL, 90.0), symmetric(90.0), method="percentile"),
     CPU_CNN, Cause.OUTLIERS, "its grid reaches to 90.71 for a few outliers", 'format = "int16"'),
    ("a grid that could be smaller", activation(NORMAL, symmetric(4.8, IntFormat(4))), CPU_CNN, Cause.OUTLIERS,
     "a grid to 2.743 would lose 5.2 dB less", 'method = "mse"'),
    ("a needless position", activation(NORMAL, power(3)), DPU_CNN, Cause.COARSE_STEP,
     "its grid reaches 3.93 times as far as its values do", 'method = "mse"'),
    ("outliers kept by the best method", activation(np.append(NORMAL, 90.0), power(0), method="mse"), DPU_CNN,
     Cause.OUTLIERS, "few outliers", 'op = "op"\nkeep_float = true'),
    ("half wasted", activation(np.abs(NORMAL), symmetric(4.2)), CPU_CNN, Cause.WASTED_HALF,
     "never negative, but int8 keeps half", 'format = "uint8"'),
    ("coarse step", activation(NORMAL / NORMAL.max() * 4.1, power(4)), DPU_CNN, Cause.COARSE_STEP,
     "its grid reaches 1.94 times as far as its values do, because they just pass", 'method = "mse"'),
    ("few bits", activation(NORMAL, symmetric(4.2, IntFormat(4)), method="mse"), CPU_CNN, Cause.LOW_BITS,
     "int4 leaves it 16 values", 'format = "int8"'),
    ("nothing in particular", activation(NORMAL, symmetric(4.2)), CPU_CNN, Cause.NO_SINGLE_CAUSE,
     "its grid fits", 'tensor = "t"\nformat = "int16"'),
    ("nothing in particular, 16 bits", activation(NORMAL, symmetric(4.2, INT16)), CPU_CNN, Cause.NO_SINGLE_CAUSE,
     "its grid fits", 'op = "op"\nkeep_float = true'),
    ("no cause on a DPU", activation(np.abs(NORMAL), power(5)), DPU_CNN, Cause.NO_SINGLE_CAUSE,
     "its grid fits", 'op = "op"\nkeep_float = true'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("tensor", "recipe", "cause", "why", "remedy"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_rules(tensor: TensorReport, recipe: Recipe, cause: Cause, why: str, remedy: str):
    found = diagnose(tensor, (), recipe)
    assert found.cause is cause
    assert why in found.why
    assert remedy in found.remedy
    assert patch_recipe(recipe, found.remedy) != recipe


@pytest.mark.parametrize(
    ("recipe", "remedy"),
    [
        (CPU_CNN, 'tensor = "w"\nper_channel = true'),
        (DPU_CNN, "[equalize]\nsweeps = 20"),
        (replace(DPU_CNN, equalize=Equalization()), 'op = "conv"\nkeep_float = true'),
    ],
)
def test_imbalanced_channels(recipe: Recipe, remedy: str):
    weight = TensorReport("w", TensorKind.WEIGHT, power(4), -8.0, 7.9, "conv", channel_spread=40.0)
    found = diagnose(weight, (), replace(recipe, equalize=recipe.equalize))
    assert found.cause is Cause.CHANNEL_IMBALANCE
    assert found.why.startswith("its largest channel is 40 times the median one")
    assert remedy in found.remedy
    assert patch_recipe(recipe, found.remedy) != recipe


@pytest.mark.parametrize(
    ("recipe", "spread", "cause"),
    [
        (DPU_CNN, 8.0, Cause.CHANNEL_IMBALANCE),
        (CPU_CNN, 8.0, Cause.NO_SINGLE_CAUSE),
        (CPU_CNN, 50.0, Cause.CHANNEL_IMBALANCE),
        (replace(DPU_CNN, equalize=Equalization()), 50.0, Cause.NO_SINGLE_CAUSE),
    ],
)
def test_activations_beside_imbalanced_weights(recipe: Recipe, spread: float, cause: Cause):
    tensor = activation(NORMAL, power(5), method="mse")
    weight = TensorReport("w", TensorKind.WEIGHT, power(4), -8.0, 7.9, "conv", channel_spread=spread)
    layers = (LayerReport("conv", "depthwise-conv2d", "int8", tensors=("t", "w", "y")),)
    found = diagnose(tensor, layers, recipe, {"t": tensor, "w": weight})
    assert found.cause is cause
    if cause is Cause.CHANNEL_IMBALANCE:
        assert f"beside the weights w, whose largest channel is {spread:.3g} times" in found.why
        assert found.remedy == "[equalize]\nsweeps = 20"


def test_a_tensor_stays_float_only_when_all_ops_around_it_do():
    layers = (
        LayerReport("conv", "conv2d", "int8", fused=("relu",), ops=("conv", "op"), tensors=("x", "w", "t")),
        LayerReport("next", "conv2d", "int8", ops=("next", "act"), tensors=("t", "v", "y")),
        LayerReport("far", "conv2d", "int8", tensors=("y", "z")),
    )
    remedy = diagnose(activation(NORMAL, power(5), method="mse"), layers, DPU_CNN).remedy
    kept = patch_recipe(DPU_CNN, remedy).overrides
    assert [override.op for override in kept] == ["op", "conv", "next", "act"]
    assert all(override.keep_float for override in kept)


def test_per_channel_weights_are_not_imbalanced():
    spec = QuantSpec(INT8, (0.1, 0.001), (0, 0), 0)
    weight = TensorReport("w", TensorKind.WEIGHT, spec, -8.0, 8.0, "conv", channel_spread=40.0)
    assert diagnose(weight, (), CPU_CNN).cause is Cause.NO_SINGLE_CAUSE


def test_outliers_in_weights_ask_for_per_channel_scales():
    values = np.append(NORMAL * 0.01, 2.0)
    weight = activation(values, symmetric(2.0), kind=TensorKind.WEIGHT)
    found = diagnose(weight, (), CPU_CNN)
    assert (found.cause, found.remedy) == (Cause.OUTLIERS, '[[override]]\ntensor = "t"\nper_channel = true')


def test_a_small_range_under_a_shared_scale_names_the_concat():
    boxes = activation(NORMAL / 100, symmetric(300.0), shares_with=("both", "scores"))
    layers = (
        LayerReport("slice", "strided-slice", "int8", tensors=("t", "both")),
        LayerReport("join", "concat", "int8", tensors=("t", "scores", "both")),
    )
    scores = activation(NORMAL * 70, symmetric(300.0), name="scores")
    found = diagnose(boxes, layers, CPU_CNN, {"scores": scores})
    assert found.cause is Cause.SHARED_SCALE
    assert "shares one scale with scores in concat join; the grid reaches" in found.why
    assert found.remedy == '[[override]]\nop = "join"\nkeep_float = true'


def test_a_shared_scale_without_a_known_meeting_point_asks_for_bits():
    found = diagnose(activation(NORMAL / 100, symmetric(300.0), shares_with=("scores",)), (), CPU_CNN)
    assert (found.cause, found.remedy) == (Cause.SHARED_SCALE, '[[override]]\ntensor = "t"\nformat = "int16"')


def test_asymmetric_grids_waste_no_half():
    spec = QuantSpec(INT8, (4.0 / 255,), (-128,))
    assert diagnose(activation(np.abs(NORMAL), spec), (), CPU_CNN).cause is not Cause.WASTED_HALF


def test_few_lost_values_are_not_the_cause_when_rounding_costs_more():
    values = np.append(NORMAL, [4.4])
    tensor = activation(values, symmetric(4.3))
    assert tensor.saturation > 0.0
    assert diagnose(tensor, (), CPU_CNN).cause is not Cause.SATURATED


def test_biases_have_no_format_of_their_own():
    bias = TensorReport("b", TensorKind.BIAS, power(3), -8.0, 8.0, "conv", sqnr_db=20.0)
    assert diagnose(bias, (), DPU_CNN).remedy == '[[override]]\nop = "conv"\nkeep_float = true'
    orphan = replace(bias, producer=None)
    assert diagnose(orphan, (), DPU_CNN).remedy == ""


def test_weights_get_scales_per_channel_before_they_get_more_bits():
    weight = activation(NORMAL, symmetric(4.2), kind=TensorKind.WEIGHT, name="w")
    assert diagnose(weight, (), CPU_CNN).remedy == '[[override]]\ntensor = "w"\nper_channel = true'
    per_channel = replace(weight, spec=QuantSpec(INT8, (0.1, 0.1), (0, 0), 0))
    assert 'format = "int16"' in diagnose(per_channel, (), CPU_CNN).remedy


def test_names_are_quoted_for_toml():
    tensor = activation(NORMAL, symmetric(4.2), name='a "b"\\\x7fé')
    patched = patch_recipe(CPU_CNN, diagnose(tensor, (), CPU_CNN).remedy)
    assert patched.overrides[0].tensor == 'a "b"\\\x7fé'


def test_measured_noise_decides_the_shares():
    tensors = [
        activation(NORMAL, symmetric(4.2), name=name, output_noise=n) for name, n in (("a", 3.0), ("b", 1.0))
    ]
    assert loss_shares([*tensors, activation(NORMAL, symmetric(4.2), name="c")], ()) == {
        "a": 0.75,
        "b": 0.25,
        "c": 0.0,
    }


def test_a_layers_noise_is_divided_by_the_noise_of_its_tensors():
    loud, quiet = (
        activation(NORMAL, symmetric(4.2), name=n, sqnr_db=db) for n, db in (("loud", 10.0), ("quiet", 20.0))
    )
    layers = (LayerReport("l", "conv2d", "int8", tensors=("quiet", "loud", "unknown"), added_db=30.0),)
    shares = loss_shares((loud, quiet), layers)
    assert shares == pytest.approx({"loud": 10 / 11, "quiet": 1 / 11})


def test_without_measured_layers_the_tensors_own_noise_counts():
    tensors = [activation(NORMAL, symmetric(4.2), name=n, sqnr_db=db) for n, db in (("a", 10.0), ("b", None))]
    assert loss_shares(tensors, ()) == {"a": 1.0, "b": 0.0}
    assert relative_noise(10.0) == pytest.approx(0.1)


def test_the_worst_come_first_and_the_innocent_not_at_all():
    tensors = [
        activation(NORMAL, symmetric(4.2), name=f"t{i}", output_noise=float(i)) for i in (3, 0, 7, 1, 2, 5, 9)
    ]
    found = find_culprits(tensors, (), CPU_CNN)
    assert [culprit.tensor for culprit in found] == ["t9", "t7", "t5", "t3", "t2"]
    assert found[0].share == pytest.approx(9 / 27)
    assert [c.tensor for c in find_culprits(tensors[:3], (), CPU_CNN)] == ["t7", "t3"]
    assert find_culprits((), (), CPU_CNN) == ()


def test_the_grid_of_other_formats():
    assert grid_range(QuantSpec(UINT8, (0.5,), (10,))) == (-5.0, 122.5)
    assert grid_range(QuantSpec(FLOAT16)) == (-np.inf, np.inf)
    assert grid_range(QuantSpec(INT32, (1.0, 2.0), (0, 0), 0))[1] == 2.0 * (2**31 - 1)


def test_channel_spread_ignores_dead_channels():
    assert channel_spread(np.zeros((4, 3)), 0) == 1.0
    weights = np.array([[1.0, 8.0, 0.0], [1.0, 1.0, 0.0]])
    assert channel_spread(weights, 1) == 8.0 / 4.5


def test_methods_are_spelled_as_recipes_spell_them():
    assert {RangeMethod.MSE.value, RangeMethod.MIN_MAX.value, RangeMethod.NON_OVERFLOW.value} == {
        "mse", "min-max", "non-overflow",
    }  # fmt: skip

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.calibration.methods import RangeMethod, ScaleKind, Statistic
from quantforge.diagnostics import InputError
from quantforge.graph import Graph
from quantforge.numerics.formats import BFLOAT16, INT8, UINT8, IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import (
    CPU_CNN,
    DPU_CNN,
    BiasRule,
    BiasScale,
    Override,
    Part,
    Recipe,
    TensorRule,
)
from quantforge.quantization.rules import bias_rule, check_overrides, override_for, value_rule, weight_rule
from tests.networks import Net


def network() -> Graph:
    net = Net()
    y = net.add("relu", "r", (net.conv("c1", "x", 4),))
    total = net.add("eltwise-add", "a", (y, net.const("k", np.full((1, 4, 1, 1), 0.7))))
    return net.done(net.conv("c2", total, 2))


def rules(recipe: Recipe, graph: Graph | None = None) -> dict[str, TensorRule]:
    groups = place(graph or network(), recipe).groups
    return {name: group.rule for group in groups for name in group.values}


def test_the_last_override_that_matches_wins() -> None:
    overrides = (
        Override(tensor="x*", format=INT8),
        Override(kinds=("conv2d",), format=UINT8),
        Override(op="c*", part=Part.BIAS, format=INT8),
        Override(op="c1", keep_float=True),
    )
    assert override_for(overrides, op="c1", kind="conv2d") is overrides[3]
    assert override_for(overrides, op="c2", kind="conv2d", part=Part.WEIGHTS) is overrides[1]
    assert override_for(overrides, op="c2", kind="conv2d", part=Part.BIAS) is overrides[2]
    assert override_for(overrides, op="c2", kind="conv2d", part=Part.ACTIVATIONS) is None
    assert override_for(overrides, tensor="x1") is overrides[0]


def test_every_field_of_an_override_is_laid_over_its_part() -> None:
    change = Override(
        kinds=("conv2d",),
        part=Part.WEIGHTS,
        format=IntFormat(4),
        scales=ScaleKind.FLOAT,
        symmetric=False,
        per_channel=True,
        method=RangeMethod.PERCENTILE,
        statistic=Statistic.MAX,
        percentile=98.0,
        slack=0.2,
        rounding=Rounding.HALF_UP,
    )
    recipe = DPU_CNN.with_overrides((change,))
    want = TensorRule(
        IntFormat(4),
        ScaleKind.FLOAT,
        False,
        True,
        RangeMethod.PERCENTILE,
        Statistic.MAX,
        98.0,
        0.2,
        rounding=Rounding.HALF_UP,
    )
    assert weight_rule(network().op("c1"), recipe) == want
    recipe = DPU_CNN.with_overrides((replace(change, part=Part.BIAS),))
    assert weight_rule(network().op("c1"), recipe) == DPU_CNN.weights
    assert bias_rule(network().op("c1"), recipe) == BiasRule(
        IntFormat(4), BiasScale.FLOAT, RangeMethod.PERCENTILE, 98.0, False, Rounding.HALF_UP
    )


def test_activations_of_an_operator_are_those_behind_what_is_fused_into_it() -> None:
    for op in ("c1", "r"):
        recipe = DPU_CNN.with_overrides((Override(op=op, part=Part.ACTIVATIONS, format=IntFormat(4)),))
        found = rules(recipe)
        assert found["r.out"].format == IntFormat(4)
        assert {found[name].format for name in ("x", "k", "a.out", "c2.out")} == {INT8}


def test_a_tensor_by_its_name_beats_the_operators_around_it() -> None:
    overrides = (
        Override(tensor="r.out", method=RangeMethod.MIN_MAX),
        Override(op="c1", part=Part.ACTIVATIONS, format=IntFormat(4)),
    )
    assert rules(DPU_CNN.with_overrides(overrides))["r.out"] == replace(
        DPU_CNN.activations, method=RangeMethod.MIN_MAX
    )


def test_graph_inputs_have_a_rule_of_their_own() -> None:
    own = TensorRule(INT8, method=RangeMethod.NON_OVERFLOW)
    recipe = replace(DPU_CNN, inputs=own)
    found = rules(recipe)
    assert found["x"] == own and found["r.out"] == DPU_CNN.activations
    layer = Override(op="c1", part=Part.INPUTS, format=IntFormat(16))
    assert rules(recipe.with_overrides((layer,)))["x"] == replace(own, format=IntFormat(16))
    elsewhere = Override(op="c2", part=Part.INPUTS, format=IntFormat(16))
    assert rules(recipe.with_overrides((elsewhere,))) == found


def test_what_is_kept_in_float_has_no_place() -> None:
    overrides = (
        Override(op="c1", part=Part.ACTIVATIONS, keep_float=True),
        Override(op="c1", part=Part.BIAS, keep_float=True),
        Override(op="c2", part=Part.WEIGHTS, keep_float=True),
    )
    places = place(network(), CPU_CNN.with_overrides(overrides))
    assert "r.out" not in {name for group in places.groups for name in group.values}
    assert [place.op for place in places.weights] == ["c1"]
    assert [place.op for place in places.biases] == ["c2"]
    assert places.floats == ()


def test_an_override_quantizes_what_the_rule_keeps_in_float() -> None:
    recipe = replace(CPU_CNN, weights=replace(CPU_CNN.weights, keep_float=True))
    recipe = recipe.with_overrides((Override(op="c2", part=Part.WEIGHTS, format=IntFormat(4)),))
    assert [place.op for place in place(network(), recipe).weights] == ["c2"]


def joined() -> Graph:
    net = Net()
    both = net.add("concat", "cat", (net.conv("c1", "x", 4), net.conv("c2", "x", 4)), 8, axis=1)
    return net.done(net.conv("c3", net.add("maxpool2d", "p", (both,), 8), 2))


def test_what_computes_decides_for_what_moves() -> None:
    overrides = tuple(
        Override(op=op, part=Part.ACTIVATIONS, format=IntFormat(bits))
        for op, bits in (("c1", 4), ("c2", 4), ("p", 6))
    )
    assert rules(CPU_CNN.with_overrides(overrides), joined())["p.out"].format == IntFormat(4)
    assert rules(CPU_CNN.with_overrides(overrides[2:]), joined())["c1.out"].format == IntFormat(6)


def test_two_rules_for_one_spec_are_refused() -> None:
    overrides = tuple(
        Override(op=op, part=Part.ACTIVATIONS, format=IntFormat(bits)) for op, bits in (("c1", 4), ("c2", 6))
    )
    with pytest.raises(InputError, match=r"Q0316 operators 'c1' and 'c2': found two rules.*format"):
        place(joined(), CPU_CNN.with_overrides(overrides))


def test_values_without_an_override_have_the_rule_of_their_kind() -> None:
    assert value_rule(network(), ("r.out",), ("r.out",), CPU_CNN) == CPU_CNN.activations


@pytest.mark.parametrize(
    ("override", "fix"),
    [
        (Override(op="c11"), "'c1'"),
        (Override(tensor="c1.weight"), "'c1.w'"),
        (Override(kinds=("gelu", "mish")), "conv2d, relu, eltwise-add"),
    ],
)
def test_an_override_that_matches_nothing_names_what_is_near(override: Override, fix: str) -> None:
    with pytest.raises(InputError, match=f"Q0508.*{fix}"):
        check_overrides(network(), DPU_CNN.with_overrides((override,)))
    check_overrides(
        network(), DPU_CNN.with_overrides((Override(op="c?", format=BFLOAT16), Override(kinds=("relu",))))
    )

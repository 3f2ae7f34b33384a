from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.diagnostics import UnsupportedError
from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import BFLOAT16, INT8
from quantforge.quantization.biases import bias_spec
from quantforge.quantization.placement import place
from quantforge.quantization.places import SpecGroup
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN, Override, Recipe, ShiftLimits, TensorRule
from quantforge.quantization.solve import output_value, respecified, solve, solve_bias, weight_spec
from quantforge.quantization.weights import constant_spec
from tests.networks import Net

PER_CHANNEL = replace(CPU_CNN, weights=replace(CPU_CNN.weights, per_channel=True))


def network() -> Graph:
    net = Net()
    y = net.add("relu", "r", (net.conv("c1", "x", 4),))
    total = net.add("eltwise-add", "a", (y, net.const("k", np.full((1, 4, 1, 1), 0.7))))
    return net.done(net.conv("c2", total, 2))


def spec_of(group: SpecGroup, rule: TensorRule) -> QuantSpec:
    return QuantSpec.power_of_two(INT8, len(group.values[0]))


def solved(recipe: Recipe) -> Graph:
    return solve(network(), place(network(), recipe), recipe, spec_of)


def test_every_place_gets_its_spec_and_nothing_else() -> None:
    graph = solved(DPU_CNN)
    assert {value.name for value in graph.quantized()} == {
        *("x", "r.out", "k", "a.out", "c2.out"),
        *("c1.w", "c1.b", "c2.w", "c2.b"),
    }
    assert graph.value("x").quant == QuantSpec.power_of_two(INT8, 1)
    assert network().value("x").quant is None


def test_a_constant_that_meets_activations_is_solved_from_its_data() -> None:
    data = network().value("k").const
    assert data is not None
    assert solved(DPU_CNN).value("k").quant == constant_spec(data, DPU_CNN.activations, None)


def test_respecified_values_take_biases_behind_them_along_and_leave_the_rest() -> None:
    graph, places = solved(CPU_CNN), place(network(), CPU_CNN)
    found = respecified(
        graph, places, CPU_CNN, lambda group, spec: spec.moved(1) if "x" in group.values else None
    )
    changed = {v.name for v in graph.quantized() if found.value(v.name).quant != v.quant}
    assert changed == {"x", "c1.b"}
    x = graph.value("x").quant
    assert x is not None and found.value("x").quant == x.moved(1)


def test_a_bias_sees_the_spec_behind_the_fused_activation() -> None:
    graph = solved(DPU_CNN)
    x, w, y = (graph.value(name).quant for name in ("x", "c1.w", "r.out"))
    bias = graph.value("c1.b").const
    assert x is not None and w is not None and bias is not None
    assert graph.value("c1.b").quant == bias_spec(bias, DPU_CNN.bias, x, w, y)


def test_weights_per_channel_have_one_scale_for_each_output() -> None:
    graph = solved(PER_CHANNEL)
    weights, bias = graph.value("c1.w").quant, graph.value("c1.b").quant
    assert weights is not None and (weights.axis, len(weights.scale)) == (0, 4)
    assert bias is not None and (bias.axis, len(bias.scale)) == (0, 4)


def test_a_float_format_has_no_scale() -> None:
    graph = solved(DPU_CNN.with_overrides((Override(tensor="c1.w", format=BFLOAT16),)))
    assert graph.value("c1.w").quant == QuantSpec(BFLOAT16)


def test_computed_weights_have_no_spec() -> None:
    net = Net()
    attrs = dict(net.done(net.conv("c", "x", 4)).op("c").attrs)
    graph = net.done(net.add("conv2d", "d", ("x", "c.out"), **attrs))
    with pytest.raises(UnsupportedError, match=r"Q0510 d: found computed weights c\.out"):
        weight_spec(graph, graph.op("d"), DPU_CNN)


def test_a_result_is_behind_the_activation_that_is_fused() -> None:
    graph = solved(DPU_CNN)
    assert [output_value(graph, graph.op(name)) for name in ("c1", "r", "c2")] == ["r.out", "r.out", "c2.out"]


@pytest.mark.parametrize("leaky", [False, True])
def test_a_bias_in_front_of_a_leaky_relu_is_never_shifted_right(leaky: bool) -> None:
    net = Net()
    graph = net.done(net.add("leaky-relu", "l", (net.conv("c", "x", 4),), alpha=0.1))
    tiny = graph.value("c.b")
    graph.set_value(replace(tiny, const=np.full(4, 1e-9, np.float32)))
    limits = replace(DPU_CNN.shift_limits or ShiftLimits(), leaky_bias=leaky)
    recipe = replace(DPU_CNN, shift_limits=limits)
    for name, place_of in (("x", 4), ("c.w", 3), ("l.out", 5)):
        graph.set_value(replace(graph.value(name), quant=QuantSpec.power_of_two(INT8, place_of)))
    solve_bias(graph, graph.op("c"), recipe)
    found = graph.value("c.b").quant
    assert found is not None and found.position is not None
    shift = 4 + 3 - found.position
    assert shift == (0 if leaky else min(0, 4 + 3 - 5 - 16))

from dataclasses import replace

from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import INT8
from quantforge.passes.dpu_arithmetic import DpuArithmetic
from quantforge.quantization.hardware import as_hardware
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import CPU_CNN, DPU_CNN, Override, Recipe
from quantforge.quantization.solve import solve
from tests.networks import Net

RECIPE = replace(DPU_CNN, dpu_arithmetic=DpuArithmetic())


def network() -> Graph:
    net = Net()
    x = net.add("hard-swish", "swish", (net.conv("c1", "x", 4),))
    x = net.add("leaky-relu", "leaky", (net.conv("c2", x, 4),), alpha=0.1)
    x = net.add(
        "avgpool2d", "pool", (x,), kernel=(3, 3), stride=(1, 1), pads=(1, 1, 1, 1), count_include_pad=True
    )
    return net.done(net.conv("c3", x, 2))


def hardware(recipe: Recipe, position: int = 4) -> tuple[Graph, list[str]]:
    base = network()
    places = place(base, recipe)
    solved = solve(base, places, recipe, lambda group, rule: QuantSpec.power_of_two(INT8, position))
    graph, notes = as_hardware(solved, places, recipe)
    assert [op.kind for op in base.ops] == [op.kind for op in network().ops]
    return graph, [note.op for note in notes if note.done]


def test_every_quantized_operator_changes() -> None:
    graph, changed = hardware(RECIPE)
    assert changed == ["leaky", "pool", "swish"]
    assert [op.kind for op in graph.ops][:3] == ["conv2d", "hard-sigmoid", "eltwise-mul"]


def test_without_the_option_nothing_does() -> None:
    assert hardware(DPU_CNN)[1] == []


def test_operators_in_float_keep_their_arithmetic() -> None:
    kept = RECIPE.with_overrides(
        (Override(op="swish", keep_float=True), Override(op="pool", keep_float=True))
    )
    assert hardware(kept)[1] == ["leaky"]


def test_so_do_scales_that_are_not_powers_of_two() -> None:
    """By the rule, whatever the scale happens to be: test mode must decide as calibration did."""
    assert hardware(replace(CPU_CNN, dpu_arithmetic=DpuArithmetic()))[1] == []

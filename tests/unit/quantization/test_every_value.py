from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import BFLOAT16, FLOAT16, INT8, FloatFormat
from quantforge.numerics.lowfloat import fake_quantize_float
from quantforge.quantization.every_value import EXACT_FUSED
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import CPU_PLACEMENT, BiasRule, Override, Part, Recipe, TensorRule
from quantforge.quantization.solve import solve
from tests.networks import Net

FLOATS = Recipe(
    "floats",
    TensorRule(BFLOAT16),
    TensorRule(BFLOAT16),
    BiasRule(FLOAT16),
    TensorRule(keep_float=True),
    replace(CPU_PLACEMENT, every_value=True),
)


def network() -> Graph:
    net = Net()
    y = net.add("relu", "r", (net.conv("c1", "x", 4),))
    y = net.add("leaky-relu", "l", (net.conv("c2", y, 4),), alpha=0.1)
    y = net.add("gelu", "g", (net.add("reshape", "re", (y,), shape=(0, 4, 8, 8)),))
    return net.done(net.add("eltwise-add", "a", (y, net.const("k", np.full((1, 4, 1, 1), 0.7)))))


def values(recipe: Recipe, graph: Graph) -> set[str]:
    return {name for group in place(graph, recipe).groups for name in group.values}


def test_every_result_is_rounded_except_where_it_changes_nothing() -> None:
    places = place(network(), FLOATS)
    assert all(len(group.values) == 1 for group in places.groups)
    assert values(FLOATS, network()) == {"r.out", "c2.out", "l.out", "g.out", "k", "a.out"}
    assert [p.value for p in places.weights] == ["c1.w", "c2.w"]
    assert [p.value for p in places.biases] == ["c1.b", "c2.b"]
    assert places.floats == () and places.observed == ()


def test_graph_inputs_only_where_they_have_a_rule() -> None:
    assert "x" in values(replace(FLOATS, inputs=TensorRule(FLOAT16)), network())
    assert "x" not in values(replace(FLOATS, inputs=None), network())


def test_integers_beside_it_are_for_the_kinds_that_have_them() -> None:
    recipe = replace(FLOATS, activations=TensorRule(INT8))
    assert values(recipe, network()) == {"r.out", "c2.out", "l.out", "re.out"}
    assert [f.op for f in place(network(), recipe).floats] == ["g", "a"]


def test_an_operator_kept_in_float_is_not_rounded() -> None:
    recipe = FLOATS.with_overrides((Override(op="g", keep_float=True),))
    assert "g.out" not in values(recipe, network())
    recipe = FLOATS.with_overrides((Override(op="c1", part=Part.ACTIVATIONS, keep_float=True),))
    assert "r.out" not in values(recipe, network())


def test_specs_of_float_formats_need_no_data() -> None:
    places = place(network(), FLOATS)

    def never(*_: object) -> QuantSpec:
        raise AssertionError("asked for statistics")

    graph = solve(network(), places, FLOATS, never)
    assert graph.value("r.out").quant == graph.value("c1.w").quant == QuantSpec(BFLOAT16)
    assert graph.value("c1.b").quant == QuantSpec(FLOAT16)


@pytest.mark.parametrize("form", [BFLOAT16, FLOAT16])
@given(x=st.lists(st.floats(-1e5, 1e5, width=32), min_size=1), lo=st.floats(-9, 0), hi=st.floats(0, 9))
def test_rounding_before_a_clip_changes_nothing(
    form: FloatFormat, x: list[float], lo: float, hi: float
) -> None:
    def rounded(array: np.ndarray) -> np.ndarray:
        return np.asarray(fake_quantize_float(array.astype(np.float32), form))

    data = np.array(x, np.float32)
    for low, high in ((0.0, np.inf), (0.0, 6.0), (lo, hi)):
        once, twice = (rounded(np.clip(y, np.float32(low), np.float32(high))) for y in (data, rounded(data)))
        np.testing.assert_array_equal(once, twice)
    assert EXACT_FUSED == ("relu", "relu6", "clip")

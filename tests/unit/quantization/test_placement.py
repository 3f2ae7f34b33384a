from dataclasses import replace

import numpy as np
import pytest

from quantforge.frontends.onnx import import_model
from quantforge.graph import Graph
from quantforge.quantization.placement import place
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import CPU_CNN, CPU_TRANSFORMER, DPU_CNN, Override, Recipe
from quantforge.quantization.rules import override_for
from tests.networks import Net
from tests.unit.frontends.onnx.text_models import model
from tests.unit.passes.units.test_find import graph as gelu_behind_a_bias


def groups(places: Places) -> set[frozenset[str]]:
    return {frozenset(group.values) for group in places.groups}


def residual() -> Graph:
    net = Net()
    first = net.add("relu", "r1", (net.conv("c1", "x", 4),))
    total = net.add("relu", "r2", (net.add("eltwise-add", "a", (net.conv("c2", first, 4), first)),))
    return net.done(net.conv("c3", total, 2))


@pytest.mark.parametrize("recipe", [DPU_CNN, CPU_CNN], ids=lambda r: r.name)
def test_a_fused_group_has_one_spec_behind_its_activation(recipe: Recipe):
    places = place(residual(), recipe)
    assert groups(places) == {frozenset({name}) for name in ("x", "r1.out", "c2.out", "r2.out", "c3.out")}
    assert [(p.value, p.op) for p in places.weights] == [("c1.w", "c1"), ("c2.w", "c2"), ("c3.w", "c3")]
    assert [p.value for p in places.biases] == ["c1.b", "c2.b", "c3.b"]
    assert places.floats == ()


def test_a_value_with_two_readers_is_not_fused_away():
    net = Net()
    y = net.conv("c", "x", 4)
    graph = net.done(net.add("relu", "r", (y,)), net.conv("c2", y, 2))
    assert frozenset({"c.out"}) in groups(place(graph, DPU_CNN))


def test_moves_joins_and_pools_share_the_spec_of_their_input():
    net = Net()
    left = net.add("maxpool2d", "p", (net.conv("c1", "x", 4),))
    both = net.add("concat", "cat", (left, net.conv("c2", "x", 4)), 8, axis=1)
    graph = net.done(net.conv("c3", net.add("reshape", "re", (both,), shape=(0, 8, 6, 6)), 2))
    places = place(graph, DPU_CNN)
    assert frozenset({"c1.out", "p.out", "c2.out", "cat.out", "re.out"}) in groups(places)
    shared = next(group for group in places.groups if "cat.out" in group.values)
    assert set(shared.sources) == {"c1.out", "c2.out"}


@pytest.mark.parametrize(("recipe", "aligned"), [(DPU_CNN, True), (CPU_CNN, False)], ids=["dpu", "cpu"])
def test_average_pools_are_aligned_where_the_recipe_says_so(recipe: Recipe, aligned: bool):
    net = Net()
    y = net.conv("c", "x", 4)
    graph = net.done(net.add("avgpool2d", "p", (y,)))
    assert (frozenset({"c.out", "p.out"}) in groups(place(graph, recipe))) is aligned


def test_data_moved_in_float_stays_float():
    net = Net()
    graph = net.done(
        net.add("exp", "e", (net.add("reshape", "re", (net.add("exp", "e0", ("x",)),), shape=(0, -1)),))
    )
    places = place(graph, CPU_CNN)
    assert places.groups == ()


def test_every_op_left_in_float_says_why():
    net = Net()
    raw = net.conv("c", "x", 4)
    boxes = net.add("eltwise-mul", "scale", (net.add("exp", "e", (raw,)), net.const("k", np.ones(1))))
    opaque = net.add("opaque", "nms", (raw,), type="NonMaxSuppression")
    graph = net.done(boxes, opaque, net.conv("kept", raw, 2))
    floats = {
        f.op: f for f in place(graph, CPU_CNN.with_overrides((Override(op="ke*", keep_float=True),))).floats
    }
    assert set(floats) == {"e", "scale", "nms", "kept"}
    assert floats["e"].code == "Q0504" and "exp is not among the kinds" in floats["e"].reason
    assert floats["scale"].code == "Q0502" and "behind e" in floats["scale"].reason
    assert floats["nms"].code == "Q0501" and "NonMaxSuppression" in floats["nms"].reason
    assert floats["kept"].code == "Q0503"


def test_computed_weights_stay_float_but_a_matmul_of_two_activations_is_quantized():
    net = Net()
    attrs = dict(net.done(net.conv("c", "x", 4)).op("c").attrs)
    dynamic = net.add("conv2d", "dyn", ("x", "c.out"), **attrs)
    product = net.add("matmul", "mm", ("x", "x"))
    graph = net.done(dynamic, product)
    places = place(graph, CPU_CNN)
    assert [(f.op, f.code) for f in places.floats] == [("dyn", "Q0506")]
    assert frozenset({"mm.out"}) in groups(places)


def test_constants_that_meet_activations_get_a_spec_of_their_own():
    net = Net()
    graph = net.done(
        net.add("eltwise-add", "a", (net.conv("c", "x", 4), net.const("k", np.ones((1, 4, 1, 1)))))
    )
    assert frozenset({"k"}) in groups(place(graph, CPU_CNN))


def test_the_last_matching_override_wins():
    overrides = (Override(op="a*", keep_float=True), Override(op="ab", percentile=9.0), Override(tensor="ab"))
    assert override_for(overrides, op="ab") is overrides[1]
    assert override_for(overrides, tensor="ab") is overrides[2]
    assert override_for(overrides, op="zz") is None


def test_kinds_outside_the_placement_stay_float():
    recipe = replace(CPU_CNN, placement=replace(CPU_CNN.placement, kinds=("conv2d",)))
    places = place(residual(), recipe)
    assert [f.op for f in places.floats] == ["r1", "a", "r2"]


def test_a_tensor_that_is_not_float32_stays_as_it_is():
    net = Net()
    y = net.conv("c", "x", 4)
    total = net.add("eltwise-add", "a", (y, y))
    net.graph.set_value(replace(net.graph.value(total), dtype="float16"))
    (kept,) = place(net.done(total), CPU_CNN).floats
    assert (kept.op, kept.code, kept.reason) == ("a", "Q0505", "its output is float16")


def detector() -> Graph:
    """Scores and boxes that meet in the last concat, behind which they are only moved, and a concat that is read."""
    net = Net()
    both = net.add("concat", "inner", (net.conv("c1", "x", 4), net.conv("c2", "x", 4)), 8, axis=1)
    scores = net.add("sigmoid", "scores", (net.conv("c3", both, 2),))
    last = net.add("concat", "last", (scores, net.conv("boxes", both, 4)), 6, axis=1)
    return net.done(net.add("transpose", "turn", (last,), order=(0, 2, 3, 1)))


@pytest.mark.parametrize("recipe", [DPU_CNN, CPU_CNN], ids=lambda r: r.name)
def test_a_concat_that_only_gathers_results_leaves_each_input_its_own_spec(recipe: Recipe):
    places = place(detector(), recipe)
    assert {"c1.out", "c2.out", "inner.out"} in groups(places)
    assert {"scores.out"} in groups(places) and {"boxes.out"} in groups(places)
    last, turn = places.floats
    assert (last.op, last.code) == ("last", "Q0509") and "gathers results" in last.reason
    assert (turn.op, turn.code) == ("turn", "Q0502") and "behind last" in turn.reason


def test_a_concat_in_front_of_float_ops_alone_gathers_results_too():
    net = Net()
    last = net.add("concat", "last", (net.conv("c1", "x", 4), net.conv("c2", "x", 4)), 8, axis=1)
    places = place(net.done(net.add("opaque", "nms", (last,), type="NonMaxSuppression")), CPU_CNN)
    assert [(f.op, f.code) for f in places.floats] == [("last", "Q0509"), ("nms", "Q0501")]


def test_a_concat_that_is_an_output_and_is_read_by_a_layer_is_quantized():
    net = Net()
    both = net.add("concat", "cat", (net.conv("c1", "x", 4), net.conv("c2", "x", 4)), 8, axis=1)
    assert place(net.done(both, net.conv("c3", both, 2)), CPU_CNN).floats == ()


def test_a_target_that_computes_the_last_concat_gets_one_spec_for_it():
    placement = replace(DPU_CNN.placement, float_output_joins=False)
    places = place(detector(), replace(DPU_CNN, placement=placement))
    assert {"scores.out", "boxes.out", "last.out", "turn.out"} in groups(places)
    assert places.floats == ()


def test_units_are_rounded_at_their_ends_only():
    graph = gelu_behind_a_bias()
    places = place(graph, CPU_CNN)
    assert groups(places) == {frozenset({name}) for name in ("x", "a")}
    assert {found.op: found.code for found in places.floats} == dict.fromkeys(
        ("Div_2", "Erf_3", "Add_4", "Mul_5", "Mul_6"), "Q0530"
    )
    kinds = (*CPU_CNN.placement.kinds, "gelu")
    places = place(graph, replace(CPU_CNN, placement=replace(CPU_CNN.placement, kinds=kinds)))
    assert groups(places) == {frozenset({name}) for name in ("x", "a", "y")} and places.floats == ()
    places = place(graph, replace(CPU_CNN, placement=replace(CPU_CNN.placement, units=False)))
    assert {"m", "b", "one"} & {name for group in groups(places) for name in group}


def test_masks_and_their_sums_carry_no_spec():
    text = """agraph (float[N,2,T,4] q, float[N,2,4,T] k, float[N,2,T,4] v, float[N,1,1,T] mask) => (float[N,2,T,4] y)
        { s = MatMul (q, k) z = Div (s, root) a = Add (z, mask) p = Softmax (a) y = MatMul (p, v) }"""
    graph = import_model(model(text, root=np.array(2, np.float32)))
    assert groups(place(graph, CPU_CNN)) == {frozenset({name}) for name in ("q", "k", "s", "p", "v", "y")}
    assert groups(place(graph, CPU_TRANSFORMER)) == {frozenset({name}) for name in ("q", "k", "p", "v")}


def test_inputs_only_stores_what_products_read():
    places = place(residual(), CPU_TRANSFORMER)
    assert groups(places) == {frozenset({name}) for name in ("x", "r1.out", "r2.out")}
    assert [p.value for p in places.weights] == ["c1.w", "c2.w", "c3.w"] and places.floats == ()


def test_averages_over_dilated_windows_stay_float() -> None:
    for dilation, kept in (((2, 2), True), ((1, 1), False)):
        net = Net()
        pooled = net.add("avgpool2d", "p", (net.conv("c", "x", 3),), kernel=(2, 2), dilation=dilation)
        graph = net.done(net.conv("d", pooled, 3))
        floats = {found.op: found for found in place(graph, CPU_CNN).floats}
        assert ("p" in floats) == kept
        assert not kept or floats["p"].code == "Q0501"


@pytest.mark.parametrize(("aligned", "separate"), [(True, False), (False, False), (False, True)])
def test_what_a_concat_joins(aligned: bool, separate: bool) -> None:
    net = Net()
    joined = net.add("concat", "j", (net.conv("a", "x", 4), net.conv("b", "x", 4)), 8, axis=1)
    graph = net.done(net.conv("c", joined, 4))
    placement = replace(DPU_CNN.placement, align_join=aligned, separate_join=separate)
    found = groups(place(graph, replace(DPU_CNN, placement=placement)))
    parts = {"a.out", "b.out", "j.out"}
    together = {group & parts for group in found if group & parts}
    want = [parts] if aligned else [{"a.out"}, {"b.out"}, {"j.out"}] if separate else [{"j.out"}]
    assert together == {frozenset(group) for group in want}

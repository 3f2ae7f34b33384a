from __future__ import annotations

import pytest

import xir
from quantforge.diagnostics import InputError
from tests.unit.xir.networks import op, small


def conv_and_activation() -> tuple[xir.GraphTemplate, xir.OpTemplate, xir.OpTemplate]:
    pattern = xir.GraphTemplate("conv + activation")
    conv = pattern.add_op("conv", {"conv2d"})
    return pattern, conv, pattern.add_op("act", {"relu", "relu6"}, {conv: "input"})


def test_a_pattern_and_what_can_be_asked() -> None:
    pattern, conv, act = conv_and_activation()
    assert pattern.get_name() == "conv + activation" and pattern.get_op_num() == 2
    assert pattern.get_op("conv") is conv and pattern.get_op("none") is None
    assert pattern.get_ops() == {conv, act} and pattern.toposort() == [conv, act]
    assert (act.get_name(), act.get_types()) == ("act", {"relu", "relu6"})
    assert act.get_input_ops() == {conv} and conv.get_fanout_ops() == {act}
    assert (conv.get_input_num(), conv.get_fanout_num(), act.get_input_num()) == (0, 1, 1)
    assert act.get_filter() is None and pattern.get_filter() is None


def test_matches() -> None:
    graph = small()
    pattern, conv, act = conv_and_activation()
    assert pattern.matches(graph) == [{conv: op(graph, "c"), act: op(graph, "r")}]
    act.set_types({"relu6"})
    assert pattern.matches(graph) == []
    act.set_types(())
    assert len(pattern.matches(graph)) == 1
    act.set_filter(lambda one: one.get_type() == "add")
    assert act.get_filter() is not None
    assert pattern.matches(graph) == [{conv: op(graph, "c"), act: op(graph, "s")}]
    pattern.set_filter(lambda match: match[act].get_name() != "s")
    assert pattern.get_filter() is not None and pattern.matches(graph) == []
    assert xir.GraphTemplate("empty").matches(graph) == []


def test_a_diamond_and_arguments() -> None:
    graph = small()
    pattern = xir.GraphTemplate("diamond")
    weights = pattern.add_op("w", {"const"})
    conv = pattern.add_op("conv", {"conv2d"}, {weights: "weights"})
    act = pattern.add_op("act", {"relu"}, {conv: "input"})
    fix = pattern.add_op("fix", {"fix"}, {act: ""})
    total = pattern.add_op("sum", {"add"}, {fix: "input", conv: "input"})
    (match,) = pattern.matches(graph)
    assert {slot.get_name(): one.get_name() for slot, one in match.items()} == {
        "w": "w", "conv": "c", "act": "r", "fix": "f", "sum": "s",
    }  # fmt: skip
    assert match[total] is op(graph, "s")


def test_no_operator_is_in_two_matches() -> None:
    graph = xir.Graph("chain")
    last = graph.create_op("x", "data", {"shape": [1], "data_type": "FLOAT32"})
    for i in range(5):
        last = graph.create_op(f"n{i}", "neg", input_ops={"input": [last]})
    pattern = xir.GraphTemplate("two")
    first = pattern.add_op("a", {"neg"})
    second = pattern.add_op("b", {"neg"}, {first: "input"})
    found = [(m[first].get_name(), m[second].get_name()) for m in pattern.matches(graph)]
    assert found == [("n0", "n1"), ("n2", "n3")]


def test_patterns_that_cannot_be_made() -> None:
    pattern, conv, act = conv_and_activation()
    with pytest.raises(InputError, match=r"Q0921.*XIR_MULTI_DEFINED_OP"):
        pattern.add_op("conv", {"conv2d"})
    with pytest.raises(InputError, match=r"Q0921.*XIR_UNDEFINED_OP"):
        xir.GraphTemplate("other").add_op("y", {"relu"}, {conv: "input"})
    with pytest.raises(InputError, match=r"Q0921.*XIR_REMOVE_OP_FAIL"):
        pattern.remove_op(conv)
    pattern.remove_op(act)
    assert pattern.get_op_num() == 1 and conv.get_fanout_num() == 0

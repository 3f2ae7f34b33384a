from __future__ import annotations

import pytest

from quantforge.diagnostics import InputError
from tests.unit.xir.networks import names, op, small


def test_what_an_operator_reads_and_who_reads_it() -> None:
    graph = small()
    c, s = op(graph, "c"), op(graph, "s")
    assert (c.get_name(), c.get_type(), c.get_graph()) == ("c", "conv2d", graph)
    assert c.get_input_num() == 3 and c.get_input_num("input") == 1
    assert {name: names(ops) for name, ops in c.get_input_ops().items()} == {
        "input": ["x"], "weights": ["w"], "bias": ["b"],
    }  # fmt: skip
    assert c.get_input_op("weights") is op(graph, "w") and s.get_input_op("input", 1) is c
    assert names(c.get_fanout_ops()) == ["r", "s"] and c.get_fanout_num() == 2
    assert [tensor.name for tensor in s.get_input_tensors()] == ["f", "c"]
    assert [tensor.name for tensor in c.get_input_tensors_by_name("bias")] == ["b"]
    assert s.get_input_tensor("input").name == "f" and c.get_output_tensor().producer is c
    assert repr(c) == "<xir.Op named 'c'>" and str(op(graph, "r")) == "{name: 'r', type: 'relu', attrs: {}}"
    assert op(graph, "r").get_input_ops_by_name("input") == [c]


def test_arguments_that_are_not_there() -> None:
    c = op(small(), "c")
    with pytest.raises(InputError, match="Q0921 c: found XIR_UNDEFINED_INPUT_ARG: the argument 'x'"):
        c.get_input_op("x")
    with pytest.raises(InputError, match="XIR_OUT_OF_RANGE: producer 1 of 1"):
        c.get_input_op("input", 1)
    with pytest.raises(InputError, match="XIR_UNDEFINED_INPUT_ARG"):
        c.set_input_ops("x", [])


def test_the_kind_of_an_attribute_is_that_of_the_definition() -> None:
    made = op(small(), "f")
    made.set_attr("fix_point", 3).set_attr("other", 3)
    with pytest.raises(InputError, match=r"Q0922 f.fix_point"):
        made.set_attr("fix_point", 0.5)
    graph = made.get_graph()
    leaky = graph.create_op("l", "leaky-relu", {"alpha": 1}, {"input": [made]})
    assert leaky.record.attrs["alpha"].kind == "float"


def test_other_producers() -> None:
    graph = small()
    r, s = op(graph, "r"), op(graph, "s")
    n = graph.create_op("n", "neg", input_ops={"input": [op(graph, "c")]})
    r.set_input_ops("input", [n])  # n was made later: the order of the operators follows
    assert [one.get_name() for one in graph.toposort()].index("n") < [
        one.get_name() for one in graph.toposort()
    ].index("r")
    s.replace_input_ops(op(graph, "c"), n)
    assert names(s.get_input_ops_by_name("input")) == ["f", "n"] and names(n.get_fanout_ops()) == ["r", "s"]
    with pytest.raises(InputError, match=r"Q0921 small: found XIR_UNEXPECTED_VALUE: the circle (\w → )+\w"):
        n.set_input_ops("input", [s])
    with pytest.raises(InputError, match="Q0905"):
        n.set_input_ops("input", [r, s])
    assert names(n.get_input_ops_by_name("input")) == ["c"]


def test_shape_inference_of_one_operator() -> None:
    graph = small()
    op(graph, "c").set_attr("stride", [4, 2])
    op(graph, "c").infer_shape()
    assert op(graph, "c").get_output_tensor().dims == [1, 4, 2, 3]

from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InternalError
from quantforge.graph import Graph, Op, Origin, Value


def chain() -> Graph:
    """x -> relu -> a -> add(a, a, w) -> y."""
    w = np.ones(2, np.float32)
    values = [Value("x", (2,)), Value("a", (2,)), Value("y", (2,)), Value("w", (2,), "float32", w)]
    ops = [Op("relu", "r", ("x",), ("a",)), Op("eltwise-add", "s", ("a", "a", "w"), ("y",))]
    return Graph("g", values, ops, ["x"], ["y"])


def names(ops: tuple[Op, ...]) -> list[str]:
    return [op.name for op in ops]


def test_reading() -> None:
    graph = chain()
    assert (
        names(graph.ops) == ["r", "s"]
        and graph.producer("a") is graph.op("r")
        and graph.producer("x") is None
    )
    assert names(graph.consumers("a")) == ["s"] and graph.consumers("y") == ()
    assert graph.const(graph.op("s"), 2) is graph.value("w").const and graph.const(graph.op("s"), 5) is None
    assert [v and v.name for v in graph.input_values(Op("x", "x", ("a", ""), ()))] == ["a", None]
    assert graph.has_value("w") and not graph.has_value("q") and graph.has_op("r") and not graph.has_op("q")
    assert graph.value("w").is_const and graph.value("x").is_float and not Value("i", (), "int64").is_float


def test_a_copy_shares_records_and_is_independent() -> None:
    graph, other = chain(), chain().copy()
    other.remove_op("s")
    other.set_value(Value("x", (5,)))
    assert names(graph.ops) == ["r", "s"] and graph.value("x").shape == (2,)
    assert graph.copy().value("w") is graph.value("w")


def test_editing() -> None:
    graph = chain()
    graph.add_op(Op("abs", "between", ("a",), ("b",)), before="s")
    graph.redirect("a", "b")
    assert names(graph.ops) == ["r", "between", "s"]
    assert graph.op("s").inputs == ("b", "b", "w") and graph.op("between").inputs == ("b",)
    graph.replace_op(Op("abs", "between", ("a",), ("c",)))
    assert graph.producer("b") is None and graph.producer("c") is graph.op("between")
    assert names(graph.consumers("a")) == ["between"]


def test_prune_drops_what_no_output_needs() -> None:
    graph = chain()
    graph.add_op(Op("abs", "dead", ("a",), ("d",)))
    graph.set_value(Value("lost"))
    assert graph.prune() == ("dead",)
    assert {value.name for value in graph.values} == {"x", "a", "y", "w"}


def test_fresh_names() -> None:
    graph = chain()
    assert graph.fresh_name("new") == "new"
    graph.set_value(Value("r_1"))
    assert graph.fresh_name("r") == "r_2"


def test_a_second_op_of_one_name_is_refused() -> None:
    with pytest.raises(InternalError, match="Q0490 r: found a second op of this name; expected unique names"):
        chain().add_op(Op("abs", "r", ("a",), ("b",)))


def test_a_changed_op_drops_its_native_record_with_its_meaning() -> None:
    op = Op("relu", "r", ("x",), ("y",), {}, Origin(("Relu",), None, object()))
    moved, other = op.changed("a-pass", inputs=("z",)), op.changed("a-pass", kind="relu6")
    assert moved.origin.native is op.origin.native and other.origin.native is None
    assert moved.origin.made_by == other.origin.made_by == "a-pass" and other.origin.names == ("Relu",)

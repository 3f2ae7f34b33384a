from __future__ import annotations

from pathlib import Path

import pytest

import xir
from quantforge.diagnostics import InputError
from tests.unit.xir.networks import names, op, small


@pytest.fixture
def graph() -> xir.Graph:
    made = small()
    made.get_root_subgraph().create_child_subgraph()
    return made


def child(graph: xir.Graph, name: str) -> xir.Subgraph:
    found = graph.get_root_subgraph().find_child_subgraph_by_op_name(name)
    assert found is not None
    return found


def test_one_child_per_operator(graph: xir.Graph) -> None:
    root = graph.get_root_subgraph()
    assert root.is_root and not root.is_leaf and root.depth == 0 and root.get_parent() is None
    assert root.get_children_num() == 7 and len(root.get_children()) == 7
    one = child(graph, "c")
    assert one.get_name() == "subgraph_c" and one.is_leaf and one.depth == 1
    assert one.root is root and one.get_parent() is root and root.is_child(one) and not one.is_child(root)
    assert root.get_op_num() == 7 and names(root.get_ops()) == ["b", "c", "f", "r", "s", "w", "x"]
    assert one.get_graph() is graph and one.has_op("c") and one.has_op(op(graph, "c")) and not one.has_op("r")
    with pytest.raises(InputError, match="Q0920 root: found XIR_SUBGRAPH_CREATE_CHILDREN_FOR_NONLEAF"):
        root.create_child_subgraph()
    one.create_child_subgraph()
    assert one.get_children_num() == 1 and graph.get_leaf_subgraph(op(graph, "c")) is not one


def test_merging(graph: xir.Graph) -> None:
    root = graph.get_root_subgraph()
    merged = root.merge_children({child(graph, name) for name in "cwbrf"})
    assert merged.get_name() == "subgraph_b" and root.get_children_num() == 3
    assert names(merged.get_input_tensors()) == ["x"]
    assert names(merged.get_output_tensors()) == ["c", "f"]
    assert [one.get_name() for one in merged.toposort()] == ["w", "b", "c", "r", "f"]
    assert [one.get_name() for one in root.toposort_child_subgraph()] == [
        "subgraph_x",
        "subgraph_b",
        "subgraph_s",
    ]
    tensor = op(graph, "r").get_output_tensor()
    assert merged.get_tensor_producer(tensor) is op(graph, "r")
    assert child(graph, "s").get_tensor_producer(tensor) is None
    assert names(root.get_input_tensors()) == [] and names(root.get_output_tensors()) == ["s"]
    assert merged.set_name("mine").get_name() == "mine" and repr(merged) == "<xir.Subgraph named 'mine'>"
    assert str(merged) == "{name: 'mine', op_num: 5, attrs: {}}"


def test_merges_that_would_make_a_circle_change_nothing(graph: xir.Graph) -> None:
    root = graph.get_root_subgraph()
    with pytest.raises(InputError, match=r"Q0920 root: found XIR_SUBGRAPH_HAS_CYCLE: the circle"):
        root.merge_children({child(graph, "c"), child(graph, "f")})  # r lies between
    assert root.get_children_num() == 7 and len(root.record.children) == 7


def test_other_merges_that_are_refused(graph: xir.Graph) -> None:
    root = graph.get_root_subgraph()
    other = small().get_root_subgraph()
    with pytest.raises(InputError, match="Q0920 root: found XIR_SUBGRAPH_INVALID_MERGE_REQUEST_NONCHILD"):
        root.merge_children({child(graph, "c"), other})
    child(graph, "c").create_child_subgraph()
    with pytest.raises(InputError, match="Q0920 root: found XIR_SUBGRAPH_INVALID_MERGE_REQUEST_NONLEAF"):
        root.merge_children({child(graph, "c"), child(graph, "r")})
    with pytest.raises(InputError, match="Q0920 root: found XIR_UNEXPECTED_VALUE"):
        root.merge_children(set())


def test_operators_and_nothing_of_a_child(graph: xir.Graph) -> None:
    root = graph.get_root_subgraph()
    assert root.find_child_subgraph_by_op(op(graph, "c")) is child(graph, "c")
    assert root.find_child_subgraph_by_op_name("none") is None
    assert child(graph, "c").find_child_subgraph_by_op_name("c") is None  # a leaf has no children


def test_dot_of_a_part(graph: xir.Graph, tmp_path: Path) -> None:
    part = graph.get_root_subgraph().merge_children({child(graph, "c"), child(graph, "r")})
    part.save_as_dot(tmp_path / "part.dot")
    text = (tmp_path / "part.dot").read_text()
    assert '"c" -> "r";' in text and '"x"' not in text

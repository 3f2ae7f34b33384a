from __future__ import annotations

import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Subgraph
from quantforge.xmodel.trees import check_tree, depends, in_order, settle_root
from tests.unit.xmodel.samples import small


def test_a_good_tree() -> None:
    check_tree(small())


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (Subgraph("a"), "Q0909 a: found neither operators nor children"),
        (Subgraph("a", ["x"], [Subgraph("b", ["c"])]), "Q0909 a: found both operators and children"),
        (Subgraph("a", ["nobody"]), "Q0909 a: found the operator 'nobody'"),
        (Subgraph("a", ["x", "x"]), "Q0909 a: found the operator 'x', which 'a' has"),
        (Subgraph("a", [], [Subgraph("b", ["x"]), Subgraph("c", ["x"])]), "Q0909 c: .*'x', which 'b' has"),
        (Subgraph("a", [], [Subgraph("b")]), "Q0909 b: found neither"),
    ],
)
def test_broken_trees(tree: Subgraph, message: str) -> None:
    model = small()
    model.root.children = [tree]
    with pytest.raises(InputError, match=message):
        check_tree(model)


def test_siblings_that_need_each_other() -> None:
    model = small()
    circle = [Subgraph("outer", ["x", "s"]), Subgraph("inner", ["c", "c_w", "c_b", "r", "f"])]
    model.root.children = circle
    with pytest.raises(InputError, match=r"Q0910 .*: found the circle (outer → inner|inner → outer)"):
        check_tree(model)
    model.root.children = [Subgraph("device", children=circle)]
    with pytest.raises(InputError, match="Q0910"):
        check_tree(model)


def test_siblings_in_order() -> None:
    model = small()
    first, second, third = model.root.children
    assert in_order(model, [third, second, first]) == [first, second, third]
    assert depends(model, [third, second, first]) == {0: {1}, 1: {2}, 2: set()}
    assert in_order(model, []) == []


def test_a_root_lists_operators_or_children() -> None:
    model = small()
    model.root = Subgraph("root", ["x"])
    settle_root(model)
    assert model.root.ops == list(model.ops)
    model.root.children = [Subgraph("most", ["c_w", "c_b", "c", "r", "f", "s"])]
    settle_root(model)
    assert model.root.ops == [] and [child.ops for child in model.root.children[1:]] == [["x"]]

"""The tree of subgraphs: its rules, and the order of siblings.

A node lists operators (a leaf) or children, never both and never neither. Every operator is below one leaf at
most. Siblings do not depend on each other in a circle, so that they can run one after the other.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Subgraph, XModel


def check_tree(model: XModel) -> None:
    """See that the tree of `model` keeps the rules.

    Raises:
        InputError: Q0909 for a node that has neither or both of operators and children, that names an operator that
            does not exist, or one that another leaf has; Q0904 for two subgraphs of a name; Q0910 for a circle.
    """
    if not model.root.children:
        return
    owners: dict[str, str] = {}
    for child in model.root.children:
        _check_node(model, child, owners)
    _check_order(model, model.root)


def settle_root(model: XModel) -> None:
    """Bring the tree into its one form.

    A root without children lists all operators. With children it lists none, and operators that no child has
    become leaves of their own, `subgraph_<operator>`.
    """
    root = model.root
    if not root.children:
        root.ops = list(model.ops)
        return
    root.ops = []
    covered = set(root.all_ops())
    root.children += [Subgraph(f"subgraph_{name}", [name]) for name in model.ops if name not in covered]


def depends(model: XModel, children: Sequence[Subgraph]) -> dict[int, set[int]]:
    """For each of `children`, by index, those of them whose operators it reads."""
    home = {name: index for index, child in enumerate(children) for name in child.all_ops()}
    reads: dict[int, set[int]] = {index: set() for index in range(len(children))}
    for name, index in home.items():
        for producer in model.ops[name].producers:
            other = home.get(producer, index)
            if other != index:
                reads[index].add(other)
    return reads


def in_order(model: XModel, children: Sequence[Subgraph]) -> list[Subgraph]:
    """`children` so that each follows those it reads; otherwise in the order of their first operators.

    Raises:
        InputError: Q0910 when they depend on each other in a circle.
    """
    place = {name: index for index, name in enumerate(model.ops)}
    first = [min((place[name] for name in child.all_ops()), default=0) for child in children]
    sorter = TopologicalSorter(depends(model, children))
    try:
        sorter.prepare()
    except CycleError as error:
        raise _circle(children, error.args[1]) from error
    order: list[Subgraph] = []
    ready: list[tuple[int, int]] = []
    while sorter:
        for index in sorter.get_ready():
            heapq.heappush(ready, (first[index], index))
        _, index = heapq.heappop(ready)
        order.append(children[index])
        sorter.done(index)
    return order


def _circle(children: Sequence[Subgraph], cycle: Sequence[int]) -> InputError:
    names = " → ".join(children[index].name for index in reversed(cycle))
    fix = "split one of them so that data flows one way"
    return InputError(
        "Q0910", children[cycle[0]].name, f"the circle {names}", "siblings without a circle", fix
    )


def _check_node(model: XModel, tree: Subgraph, owners: dict[str, str]) -> None:
    if bool(tree.ops) == bool(tree.children):
        found = "both operators and children" if tree.ops else "neither operators nor children"
        raise InputError("Q0909", tree.name, found, "one of the two", "make it a leaf or an inner node")
    for name in tree.ops:
        if name not in model.ops:
            expected = "operators of this model"
            raise InputError("Q0909", tree.name, f"the operator {name!r}", expected, "remove the name")
        if name in owners:
            found = f"the operator {name!r}, which {owners[name]!r} has"
            raise InputError("Q0909", tree.name, found, "each operator in one leaf", "remove it from one")
        owners[name] = tree.name
    for child in tree.children:
        _check_node(model, child, owners)


def _check_order(model: XModel, tree: Subgraph) -> None:
    in_order(model, tree.children)
    for child in tree.children:
        if child.children:
            _check_order(model, child)

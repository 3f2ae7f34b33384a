"""`Subgraph`: a node of the tree over the operators of a graph."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Attrs
from quantforge.xmodel.model import Subgraph as Record
from quantforge.xmodel.trees import in_order
from xir.attributes import HasAttrs
from xir.errors import SUBGRAPH, refused
from xir.op import Op
from xir.tensor import Tensor

if TYPE_CHECKING:
    from xir.graph import Graph


class Subgraph(HasAttrs):
    """A set of operators: a leaf, or a node whose children split its operators between them.

    Subgraphs are made by `create_child_subgraph` and `merge_children`; a graph gives the same object for the same
    subgraph every time.
    """

    def __init__(self, graph: Graph, record: Record, parent: Subgraph | None) -> None:
        self._graph = graph
        self.record = record
        self._parent = parent
        self._below = [Subgraph(graph, child, self) for child in record.children]

    @property
    def _attrs(self) -> Attrs:
        return self.record.attrs

    def _label(self) -> str:
        return self.record.name

    def get_name(self) -> str:
        """The name."""
        return self.record.name

    def set_name(self, name: str) -> Subgraph:
        """Give it another name, and return it."""
        self.record.name = name
        return self

    def get_graph(self) -> Graph:
        """The graph it is a part of."""
        return self._graph

    def get_op_num(self) -> int:
        """How many operators are below it."""
        return sum(1 for _ in self.record.all_ops())

    def get_ops(self) -> set[Op]:
        """The operators below it."""
        return {self._graph.op(name) for name in self.record.all_ops()}

    def has_op(self, op: Op | str) -> bool:
        """Whether an operator, given itself or by name, is below it."""
        return self._name_of(op) in set(self.record.all_ops())

    def get_tensor_producer(self, tensor: Tensor) -> Op | None:
        """The operator below it that gives a tensor, found by name; None when there is none."""
        return next((op for op in self.toposort() if op.record.tensor.name == tensor.name), None)

    def get_input_tensors(self) -> set[Tensor]:
        """What its operators read from outside."""
        inside = set(self.record.all_ops())
        producers = {name for op in inside for name in self._graph.model.ops[op].producers}
        return {self._graph.op(name).get_output_tensor() for name in producers - inside}

    def get_output_tensors(self) -> set[Tensor]:
        """What its operators give to the outside, or to nobody."""
        inside = set(self.record.all_ops())
        return {op.get_output_tensor() for op in self.get_ops() if self._leaves(op, inside)}

    def find_child_subgraph_by_op(self, op: Op) -> Subgraph | None:
        """The child that has an operator; None when no child has it."""
        return self.find_child_subgraph_by_op_name(self._name_of(op))

    def find_child_subgraph_by_op_name(self, name: str) -> Subgraph | None:
        """The child that has the operator of this name; None when no child has it."""
        return next((child for child in self._below if name in set(child.record.all_ops())), None)

    @property
    def is_root(self) -> bool:
        """Whether it is the top of the tree."""
        return self._parent is None

    @property
    def is_leaf(self) -> bool:
        """Whether it has no children."""
        return not self._below

    @property
    def root(self) -> Subgraph:
        """The top of the tree."""
        return self if self._parent is None else self._parent.root

    @property
    def depth(self) -> int:
        """How many steps it is below the root."""
        return 0 if self._parent is None else self._parent.depth + 1

    def get_parent(self) -> Subgraph | None:
        """The node above it; None for the root."""
        return self._parent

    def get_children_num(self) -> int:
        """How many children it has."""
        return len(self._below)

    def get_children(self) -> set[Subgraph]:
        """Its children."""
        return set(self._below)

    def is_child(self, subgraph: Subgraph) -> bool:
        """Whether another subgraph is a child of this one."""
        return subgraph in self._below

    def create_child_subgraph(self) -> None:
        """Give a leaf one child per operator, each named `subgraph_<operator>`.

        Raises:
            InputError: Q0920 (XIR_SUBGRAPH_CREATE_CHILDREN_FOR_NONLEAF) when it has children.
        """
        if not self.is_leaf:
            found = f"{len(self._below)} children"
            raise self._refused("XIR_SUBGRAPH_CREATE_CHILDREN_FOR_NONLEAF", found, "a leaf")
        for name in self.record.ops:
            self._adopt(Record(f"subgraph_{name}", [name]))
        self.record.ops = []

    def merge_children(self, child_subgraph_list: Collection[Subgraph]) -> Subgraph:
        """Make one leaf of several, and return it.

        It is named after the first of its operators in the order of the alphabet and has no attributes.

        Raises:
            InputError: Q0920 for one that is no child (XIR_SUBGRAPH_INVALID_MERGE_REQUEST_NONCHILD), no leaf
                (..._NONLEAF), for an empty list (XIR_UNEXPECTED_VALUE), or when the new leaf and another child would
                depend on each other (XIR_SUBGRAPH_HAS_CYCLE); then nothing has changed.
        """
        merged = [child for child in self._below if child in set(child_subgraph_list)]
        if not merged:
            raise self._refused("XIR_UNEXPECTED_VALUE", "no subgraphs", "one child or more to merge")
        if len(merged) != len(set(child_subgraph_list)):
            stray = next(one for one in child_subgraph_list if not self.is_child(one))
            found = f"{stray.get_name()!r}, which is no child"
            raise self._refused(
                "XIR_SUBGRAPH_INVALID_MERGE_REQUEST_NONCHILD", found, "children of this subgraph"
            )
        inner = next((child for child in merged if not child.is_leaf), None)
        if inner is not None:
            found = f"{inner.get_name()!r}, which has children"
            raise self._refused("XIR_SUBGRAPH_INVALID_MERGE_REQUEST_NONLEAF", found, "leaves")
        names = {name for child in merged for name in child.record.ops}
        ops = [name for name in self._graph.model.ops if name in names]
        leaf = Record(f"subgraph_{min(ops)}", ops)
        others = [child for child in self._below if child not in merged]
        self._ordered([leaf, *(child.record for child in others)])
        self._below = others
        self.record.children = [child.record for child in others]
        return self._adopt(leaf)

    def toposort(self) -> list[Op]:
        """The operators below it, each after those it reads."""
        inside = set(self.record.all_ops())
        return [self._graph.op(name) for name in self._graph.model.ops if name in inside]

    def toposort_child_subgraph(self) -> list[Subgraph]:
        """The children, each after those it reads.

        Raises:
            InputError: Q0920 (XIR_SUBGRAPH_HAS_CYCLE) when they depend on each other in a circle.
        """
        found = {id(child.record): child for child in self._below}
        return [found[id(record)] for record in self._ordered(self.record.children)]

    def save_as_dot(self, fname: str | Path) -> None:
        """Write it as Graphviz text. Errors as `Graph.save_as_dot`."""
        from xir.drawing import save_graph

        save_graph(self._graph.model, fname, "dot", set(self.record.all_ops()))

    def take(self, name: str) -> None:
        """Put a new operator into a leaf, or into a leaf of its own below an inner node."""
        if self.is_leaf:
            self.record.ops.append(name)
        else:
            self._adopt(Record(f"subgraph_{name}", [name]))

    def drop(self, name: str) -> None:
        """Take an operator out of the tree; leaves and nodes that are empty then go too."""
        if name in self.record.ops:
            self.record.ops.remove(name)
            return
        child = self.find_child_subgraph_by_op_name(name)
        if child is None:
            return
        child.drop(name)
        if not child.record.ops and not child.record.children:
            self._below.remove(child)
            self.record.children = [one.record for one in self._below]

    def _adopt(self, record: Record) -> Subgraph:
        child = Subgraph(self._graph, record, self)
        self._below.append(child)
        self.record.children.append(record)
        return child

    def _ordered(self, records: list[Record]) -> list[Record]:
        try:
            return in_order(self._graph.model, records)
        except InputError as error:
            raise self._refused(
                "XIR_SUBGRAPH_HAS_CYCLE", error.diagnostic.found, error.diagnostic.expected
            ) from error

    def _leaves(self, op: Op, inside: set[str]) -> bool:
        readers = op.get_fanout_ops()
        return not readers or any(reader.get_name() not in inside for reader in readers)

    def _name_of(self, op: Op | str) -> str:
        return op if isinstance(op, str) else op.get_name()

    def _refused(self, xir_id: str, found: str, expected: str) -> InputError:
        return refused(SUBGRAPH, xir_id, self.get_name(), found, expected, "choose other subgraphs")

    def __repr__(self) -> str:
        return f"<xir.Subgraph named '{self.get_name()}'>"

    def __str__(self) -> str:
        return f"{{name: '{self.get_name()}', op_num: {self.get_op_num()}, attrs: {self.get_attrs()}}}"

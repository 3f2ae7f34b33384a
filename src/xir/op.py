"""`Op`: one operator of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quantforge.xmodel.catalogue import definition
from quantforge.xmodel.model import Attrs, XOp
from xir.attributes import HasAttrs
from xir.errors import OPERATOR, refused
from xir.tensor import Tensor

if TYPE_CHECKING:
    from xir.graph import Graph


class Op(HasAttrs):
    """An operator: name, type, producers by argument, attributes, and one output tensor.

    Operators are made by `Graph.create_op`; a graph gives the same object for the same operator every time.
    """

    def __init__(self, graph: Graph, record: XOp) -> None:
        self._graph = graph
        self.record = record
        self._tensor = Tensor(record.tensor, self)

    @property
    def _attrs(self) -> Attrs:
        return self.record.attrs

    def _label(self) -> str:
        return self.record.name

    def _kind_of(self, name: str) -> str | None:
        found = definition(self.record.kind).attrs.get(name)
        return None if found is None else found.kind

    def get_name(self) -> str:
        """The name, unique in the graph."""
        return self.record.name

    def get_type(self) -> str:
        """The kind of operator, such as "conv2d"."""
        return self.record.kind

    def get_graph(self) -> Graph:
        """The graph it is in."""
        return self._graph

    def get_input_num(self, name: str | None = None) -> int:
        """How many producers one argument has, or all together."""
        return len(self.record.producers if name is None else self._argument(name))

    def get_input_ops(self) -> dict[str, list[Op]]:
        """The producers, by argument."""
        return {name: self.get_input_ops_by_name(name) for name in self.record.args}

    def get_input_ops_by_name(self, name: str) -> list[Op]:
        """The producers of one argument, in order.

        Raises:
            InputError: Q0921 (XIR_UNDEFINED_INPUT_ARG) for an argument that the operator's type does not have.
        """
        return [self._graph.op(producer) for producer in self._argument(name)]

    def get_input_op(self, name: str, idx: int = 0) -> Op:
        """One producer of an argument.

        Raises:
            InputError: Q0921 (XIR_UNDEFINED_INPUT_ARG, XIR_OUT_OF_RANGE) when there is none.
        """
        producers = self.get_input_ops_by_name(name)
        if not 0 <= idx < len(producers):
            found = f"producer {idx} of {len(producers)} of the argument {name!r}"
            raise self._refused("XIR_OUT_OF_RANGE", found, "one that is connected")
        return producers[idx]

    def set_input_ops(self, name: str, ops: Sequence[Op]) -> None:
        """Connect an argument to other producers.

        Raises:
            InputError: Q0921 for an unknown argument (XIR_UNDEFINED_INPUT_ARG), an operator of another graph
                (XIR_UNDEFINED_OP), or a circle (XIR_UNEXPECTED_VALUE).
        """
        self._argument(name)
        self._graph.connect(self, {**self.record.args, name: tuple(self._graph.name_of(op) for op in ops)})

    def replace_input_ops(self, op_old: Op, op_new: Op) -> None:
        """Read `op_new` wherever the operator reads `op_old`. Errors as `set_input_ops`."""
        old, new = self._graph.name_of(op_old), self._graph.name_of(op_new)
        args = {
            name: tuple(new if one == old else one for one in ops) for name, ops in self.record.args.items()
        }
        self._graph.connect(self, args)

    def get_fanout_num(self) -> int:
        """How many operators read the output."""
        return len(self.get_fanout_ops())

    def get_fanout_ops(self) -> list[Op]:
        """The operators that read the output, each once, in the graph's order."""
        return self._graph.readers(self)

    def get_input_tensors(self) -> list[Tensor]:
        """What it reads, argument by argument."""
        return [self._graph.op(producer).get_output_tensor() for producer in self.record.producers]

    def get_input_tensors_by_name(self, name: str) -> list[Tensor]:
        """What one argument reads. Errors as `get_input_ops_by_name`."""
        return [op.get_output_tensor() for op in self.get_input_ops_by_name(name)]

    def get_input_tensor(self, name: str, idx: int = 0) -> Tensor:
        """One tensor of an argument. Errors as `get_input_op`."""
        return self.get_input_op(name, idx).get_output_tensor()

    def get_output_tensor(self) -> Tensor:
        """The result."""
        return self._tensor

    def infer_shape(self) -> None:
        """Give the output tensor the shape that follows from inputs and attributes.

        Raises:
            InputError: Q0912 where they do not fit each other.
        """
        self._graph.infer(self)

    def _argument(self, name: str) -> tuple[str, ...]:
        known = definition(self.record.kind).args
        if name not in known:
            found = f"the argument {name!r}"
            raise self._refused("XIR_UNDEFINED_INPUT_ARG", found, f"one of {', '.join(known) or 'none'}")
        return self.record.args.get(name, ())

    def _refused(self, xir_id: str, found: str, expected: str) -> Exception:
        return refused(OPERATOR, xir_id, self.record.name, found, expected, "correct the call")

    def __repr__(self) -> str:
        return f"<xir.Op named '{self.get_name()}'>"

    def __str__(self) -> str:
        return f"{{name: '{self.get_name()}', type: '{self.get_type()}', attrs: {self.get_attrs()}}}"

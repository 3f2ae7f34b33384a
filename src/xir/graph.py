"""`Graph`: operators, their tensors, and the tree of subgraphs over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np

from quantforge.xmodel.catalogue import definition
from quantforge.xmodel.model import FLOAT32, Attrs, DataType, XModel, XOp
from quantforge.xmodel.model import Tensor as TensorRecord
from quantforge.xmodel.operator_rules import check_operator
from quantforge.xmodel.read import read_xmodel
from quantforge.xmodel.shapes import infer_shape, infer_type
from quantforge.xmodel.trees import settle_root
from quantforge.xmodel.write import write_xmodel
from xir.attributes import HasAttrs, as_attr
from xir.errors import DATA_TYPE, OPERATOR, refused
from xir.op import Op
from xir.subgraph import Subgraph
from xir.tensor import Tensor

_ARRAYS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


class Graph(HasAttrs):
    """A graph of operators. `model` is the record of quantforge that it stands on and edits in place."""

    def __init__(self, name: str) -> None:
        self.model = XModel(name)
        self._start()

    def _start(self) -> None:
        self._ops: dict[str, Op] = {}
        self._readers: dict[str, list[str]] | None = None
        self._root = Subgraph(self, self.model.root, None)

    @classmethod
    def from_model(cls, model: XModel) -> Graph:
        """The graph that stands on a model of quantforge (`quantforge.xmodel.model.XModel`)."""
        graph = cls.__new__(cls)
        settle_root(model)
        graph.model = model
        graph._start()
        return graph

    @classmethod
    def deserialize(cls, fname: str | Path) -> Graph:
        """Read an .xmodel file.

        Raises:
            InputError: Q0901 to Q0911 and Q0914 (`quantforge.xmodel.read.read_xmodel`).
        """
        return cls.from_model(read_xmodel(fname))

    def serialize(self, fname: str | Path) -> None:
        """Write an .xmodel file.

        Raises:
            InputError: Q0903 to Q0914, Q0601 (`quantforge.xmodel.write.write_xmodel`).
        """
        write_xmodel(self.model, fname)

    @property
    def _attrs(self) -> Attrs:
        return self.model.attrs

    def _label(self) -> str:
        return self.model.name

    def get_name(self) -> str:
        """The name of the graph."""
        return self.model.name

    def create_op(
        self,
        name: str,
        kind: str,
        attrs: Mapping[str, Any] | None = None,
        input_ops: Mapping[str, Sequence[Op]] | None = None,
        subgraph: Subgraph | None = None,
    ) -> Op:
        """Add an operator; its output shape and type follow from inputs and attributes.

        Args:
            name: A name that no operator of the graph has.
            kind: A type that XIR defines, or a custom one: it has the argument `input` and needs the attributes
                `shape` (list of int) and `data_type` (text).
            attrs: Attributes by name.
            input_ops: Producers by argument.
            subgraph: Where to put it; the root when None.

        Raises:
            InputError: Q0921 (XIR_MULTI_DEFINED_OP) for a name that is taken, Q0922 for an attribute of no kind,
                Q0905 to Q0907, Q0912 and Q0914 for an operator that does not fit its definition.
        """
        if name in self.model.ops:
            raise self._refused("XIR_MULTI_DEFINED_OP", f"a second operator named {name!r}", "unique names")
        kinds = definition(kind).attrs
        made = {
            key: as_attr(value, kinds[key].kind if key in kinds else None, f"{name}.{key}")
            for key, value in (attrs or {}).items()
        }
        args = {key: tuple(self.name_of(op) for op in ops) for key, ops in (input_ops or {}).items()}
        record = XOp(name, kind, TensorRecord(name, (1,)), args, made)
        declared = record.get("data_type")
        record.tensor.shape = tuple(record.get("shape", (1,)))
        record.tensor.dtype = DataType.parse(declared) if _is_type(declared) else FLOAT32
        check_operator(record)
        self._infer(record)
        self.model.add(record)
        self._readers = None
        (subgraph or self._root).take(name)
        return self.op(name)

    def create_const_op(self, name: str, data: np.ndarray[Any, Any]) -> Op:
        """Add a constant of integers of 8 to 64 bits or floats of 32 or 64.

        Raises:
            InputError: Q0923 (XIR_INVALID_DATA_TYPE) for another type, Q0921 for a name that is taken.
        """
        code = f"{data.dtype.kind}{data.dtype.itemsize}"
        if code not in _ARRAYS:
            expected, fix = "int8 to uint64, float32 or float64", "convert the array"
            raise refused(DATA_TYPE, "XIR_INVALID_DATA_TYPE", name, f"elements {data.dtype}", expected, fix)
        array = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
        shape = list(data.shape) or [1]
        return self.create_op(
            name, "const", {"shape": shape, "data_type": data.dtype.name, "data": array.tobytes()}
        )

    def remove_op(self, op: Op) -> None:
        """Take out an operator that nobody reads.

        Raises:
            InputError: Q0921 (XIR_REMOVE_OP_FAIL) when somebody does, or it is not in this graph.
        """
        name = self.name_of(op)
        readers = self._all_readers()[name]
        if readers:
            found, expected = f"{name!r}, which {readers[0]!r} reads", "an operator that nobody reads"
            raise self._refused("XIR_REMOVE_OP_FAIL", found, expected)
        self._root.drop(name)
        del self.model.ops[name]
        self._ops.pop(name, None)
        self._readers = None

    def get_op(self, name: str) -> Op | None:
        """The operator of this name; None when there is none."""
        return self.op(name) if name in self.model.ops else None

    def get_ops(self) -> set[Op]:
        """All operators."""
        return set(self.toposort())

    def get_op_num(self) -> int:
        """How many operators there are."""
        return len(self.model.ops)

    def get_head_ops(self) -> set[Op]:
        """The operators that read nothing: inputs and constants."""
        return {op for op in self.toposort() if not op.record.producers}

    def get_tail_ops(self) -> set[Op]:
        """The operators that nobody reads."""
        return {self.op(name) for name, readers in self._all_readers().items() if not readers}

    def get_tensors(self) -> set[Tensor]:
        """The outputs of all operators."""
        return {op.get_output_tensor() for op in self.toposort()}

    def get_tensor(self, name: str) -> Tensor | None:
        """The tensor of this name; None when there is none."""
        return next((op.get_output_tensor() for op in self.toposort() if op.record.tensor.name == name), None)

    def get_tensor_producer(self, tensor: Tensor) -> Op | None:
        """The operator that gives a tensor, found by its name; None when there is none."""
        return next((op for op in self.toposort() if op.record.tensor.name == tensor.name), None)

    def toposort(self) -> list[Op]:
        """All operators, each after those it reads."""
        return [self.op(name) for name in self.model.ops]

    def infer_shape(self) -> None:
        """Infer the shapes of all output tensors anew.

        Raises:
            InputError: Q0912 where inputs and attributes do not fit each other.
        """
        for op in self.toposort():
            self.infer(op)

    def get_root_subgraph(self) -> Subgraph:
        """The top of the tree of subgraphs."""
        return self._root

    def get_leaf_subgraph(self, op: Op) -> Subgraph | None:
        """The lowest subgraph that has an operator; None when the operator is not in this graph."""
        if self.model.ops.get(op.get_name()) is not op.record:
            return None
        here: Subgraph = self._root
        while not here.is_leaf:
            below = here.find_child_subgraph_by_op(op)
            if below is None:
                return here
            here = below
        return here

    def save_as_dot(self, fname: str | Path) -> None:
        """Write the graph as Graphviz text.

        Raises:
            InputError: Q0601 when it cannot be written.
        """
        from xir.drawing import save_graph

        save_graph(self.model, fname, "dot")

    def save_as_image(self, fname: str | Path, format: str) -> None:
        """Draw the graph; `format` is png, svg or dot. No Graphviz is needed.

        Raises:
            InputError: Q0924 for another format, Q0601 when the file cannot be written.
        """
        from xir.drawing import save_graph

        save_graph(self.model, fname, format)

    def op(self, name: str) -> Op:
        """The operator that is known to be there."""
        if name not in self._ops:
            self._ops[name] = Op(self, self.model.ops[name])
        return self._ops[name]

    def name_of(self, op: Op) -> str:
        """The name of an operator of this graph.

        Raises:
            InputError: Q0921 (XIR_UNDEFINED_OP) for an operator that was removed or belongs to another graph.
        """
        if self.model.ops.get(op.get_name()) is not op.record:
            raise self._refused("XIR_UNDEFINED_OP", repr(op), f"an operator of the graph {self.get_name()!r}")
        return op.get_name()

    def readers(self, op: Op) -> list[Op]:
        """The operators that read what `op` gives."""
        return [self.op(name) for name in self._all_readers()[op.get_name()]]

    def connect(self, op: Op, args: Mapping[str, tuple[str, ...]]) -> None:
        """Give `op` other producers, and keep the order of the operators right.

        Raises:
            InputError: Q0905 for too many or too few, Q0921 (XIR_UNEXPECTED_VALUE) for a circle.
        """
        check_operator(replace(op.record, args=dict(args)))
        reads = {name: record.producers for name, record in self.model.ops.items()}
        reads[op.get_name()] = tuple(name for names in args.values() for name in names)
        try:
            order = list(TopologicalSorter(reads).static_order())
        except CycleError as error:
            circle = " → ".join(reversed(error.args[1]))
            raise self._refused(
                "XIR_UNEXPECTED_VALUE", f"the circle {circle}", "operators without a circle"
            ) from error
        op.record.args = dict(args)
        self.model.ops = {name: self.model.ops[name] for name in order}
        self._readers = None

    def infer(self, op: Op) -> None:
        """Infer the shape of one output tensor anew. Errors as `infer_shape`."""
        shape = infer_shape(self.model, op.record)
        if shape is not None:
            op.record.tensor.shape = shape

    def _infer(self, record: XOp) -> None:
        """Shape and type of a new operator's tensor; one whose shape depends on data says it in `shape`."""
        shape = infer_shape(self.model, record)
        if shape is None and "shape" not in record.attrs:
            found = f"{record.kind} {record.name!r}, whose shape depends on data"
            raise self._refused("XIR_OP_DEF_SHAPE_HINT_MISSING", found, "the attribute shape as a hint")
        record.tensor.shape = shape or tuple(record.get("shape"))
        record.tensor.dtype = infer_type(self.model, record)

    def _all_readers(self) -> dict[str, list[str]]:
        if self._readers is None:
            self._readers = self.model.consumers()
        return self._readers

    def _refused(self, xir_id: str, found: str, expected: str) -> Exception:
        return refused(OPERATOR, xir_id, self.get_name(), found, expected, "correct the call")

    def __repr__(self) -> str:
        return f"<xir.Graph named '{self.get_name()}'>"

    def __str__(self) -> str:
        return f"{{name: '{self.get_name()}', op_num: {self.get_op_num()}, attrs: {self.get_attrs()}}}"


def _is_type(text: object) -> bool:
    try:
        DataType.parse(str(text))
    except ValueError:
        return False
    return True

"""Building an ONNX graph node by node, and what is known of each of its tensors.

Every tensor of a DPU is held as unsigned bytes in NHWC: the integer plus `zero`, which is 128 for signed tensors.
That is the form in which ONNX Runtime's integer kernels are fastest, and copying operators copy single bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

from quantforge.diagnostics import UnsupportedError
from quantforge.runtime.fixed import Array, Fixed, fixed_of
from quantforge.runtime.program import Program
from quantforge.xmodel.model import XOp

CONTRIB = "com.microsoft"
OPSET = 17
TYPES = {
    "uint8": TensorProto.UINT8,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
}


@dataclass(frozen=True)
class Held:
    """A tensor of the lowered graph: ONNX name, meaning, and shape (the first size is that of one run)."""

    name: str
    fixed: Fixed
    shape: tuple[int, ...]

    @property
    def zero(self) -> int:
        """The byte that stands for 0."""
        return zero_of(self.fixed)

    @property
    def magnitude(self) -> int:
        """Largest absolute integer."""
        return max(-self.fixed.low, self.fixed.high)


def zero_of(fixed: Fixed) -> int:
    """128 for signed bytes, 0 for unsigned ones."""
    return 128 if fixed.signed else 0


class Builder:
    """Nodes and constants of one graph."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def node(self, op_type: str, inputs: Sequence[str], domain: str = "", **attrs: Any) -> str:
        """Append a node with one output; returns the name of that."""
        name = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(op_type, list(inputs), [name], domain=domain, **attrs))
        return name

    def constant(self, data: Any, dtype: str) -> str:
        """The name of a constant; equal ones are stored once."""
        array = np.asarray(data, dtype)
        key = (dtype, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = name = f"c{len(self._constants)}"
            self._constants[name] = numpy_helper.from_array(array, name)
        return self._known[key]

    def cast(self, name: str, dtype: str) -> str:
        """Convert the elements of a tensor."""
        return self.node("Cast", [name], to=TYPES[dtype])

    def binary(self, op_type: str, left: str, right: Any, dtype: str) -> str:
        """Combine a tensor with a constant."""
        return self.node(op_type, [left, self.constant(right, dtype)])

    def reshape(self, name: str, shape: Sequence[int]) -> str:
        """Bring to `shape`; one size may be -1."""
        return self.node("Reshape", [name, self.constant(shape, "int64")])

    def crop(self, name: str, cuts: Mapping[int, slice]) -> str:
        """Take a slice of some axes; None as an end goes to the edge."""
        axes = sorted(cuts)
        rows = [_indices(cuts[axis]) for axis in axes]
        starts, ends, steps = (self.constant([row[i] for row in rows], "int64") for i in range(3))
        return self.node("Slice", [name, starts, ends, self.constant(axes, "int64"), steps])

    def pad(self, name: str, pairs: Sequence[tuple[int, int]], fill: int) -> str:
        """Surround bytes with the byte `fill`."""
        both = [before for before, _ in pairs] + [after for _, after in pairs]
        return self.node("Pad", [name, self.constant(both, "int64"), self.constant(fill, "uint8")])

    def clip(self, name: str, low: float, high: float, dtype: str) -> str:
        """Hold between two numbers."""
        return self.node("Clip", [name, self.constant(low, dtype), self.constant(high, dtype)])

    def model(self, inputs: Mapping[str, tuple[int, ...]], outputs: Mapping[str, str]) -> bytes:
        """The serialized model; inputs are bytes with a free first size, outputs map a name to a tensor's."""
        nodes = [*self._nodes, *(helper.make_node("Identity", [t], [n]) for n, t in outputs.items())]
        feeds = [
            helper.make_tensor_value_info(name, TensorProto.UINT8, ["batch", *shape[1:]])
            for name, shape in inputs.items()
        ]
        results = [ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(nodes, "subgraph", feeds, results, list(self._constants.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def _indices(cut: slice) -> tuple[int, int, int]:
    step = 1 if cut.step is None else int(cut.step)
    far = np.iinfo(np.int64).max
    start = (0 if step > 0 else far) if cut.start is None else int(cut.start)
    return start, (far if step > 0 else -far) if cut.stop is None else int(cut.stop), step


@dataclass(eq=False)
class Lowering:
    """The state of one lowering: the program, the graph so far, and the tensors that exist.

    `signed_weights` says whether this processor multiplies unsigned by signed bytes exactly.
    """

    program: Program
    signed_weights: bool
    builder: Builder = field(default_factory=Builder)
    held: dict[str, Held] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)  # results that are not bytes, by operator name

    def input(self, op: XOp, index: int = 0) -> Held:
        """The tensor behind argument `input`; a constant is put into the graph."""
        name = op.args["input"][index]
        if name not in self.held:
            source = self.program.read(name)
            fixed = bytes_of(source)
            data = (self.program.constants[name].astype(np.int64) + zero_of(fixed)).astype(np.uint8)
            self.held[name] = Held(self.builder.constant(data, "uint8"), fixed, source.tensor.shape)
        return self.held[name]

    def weights(self, op: XOp, arg: str) -> Array | None:
        """The constant behind an argument, as int64; None when the argument is absent.

        Raises:
            UnsupportedError: Q1202 when it is computed at run time.
        """
        name = op.arg(arg)
        if name is None:
            return None
        if name not in self.program.constants:
            found, fix = f"{arg} computed by {name!r}", "run it on the reference engine (mode ref)"
            raise UnsupportedError("Q1202", op.name, found, "constant parameters", fix)
        return self.program.constants[name].astype(np.int64)

    def hold(self, op: XOp, name: str) -> Held:
        """Record `name` as the bytes of the operator's tensor."""
        return Held(name, bytes_of(op), op.tensor.shape)


def bytes_of(op: XOp) -> Fixed:
    """The meaning of a tensor that fits bytes.

    Raises:
        UnsupportedError: Q1202 for wider integers, which the fast engine does not run.
    """
    fixed = fixed_of(op)
    if fixed.bits > 8:
        found, fix = f"a tensor of {fixed.bits} bits", "run it on the reference engine (mode ref)"
        raise UnsupportedError("Q1202", op.name, found, "at most 8 bits", fix)
    return fixed

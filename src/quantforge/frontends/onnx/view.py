"""What the kind table sees of a node: attributes, constants and shapes, with 'not static' as a control flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quantforge.frontends.onnx.fold import Body
from quantforge.frontends.onnx.native import UNKNOWN
from quantforge.frontends.onnx.partial import attributes_of
from quantforge.graph import Array, Attr, Shape


class NotExpressibleError(Exception):
    """This node has no canonical kind: it becomes opaque. The message says why."""


@dataclass(frozen=True)
class Mapped:
    """A node in canonical terms. `data`: which inputs stay inputs; `consts`: inputs to be put in place of others."""

    kind: str
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    data: tuple[int, ...] = (0,)
    consts: Mapping[int, Array] = field(default_factory=dict)


class NodeView:
    """A node together with what is known of its inputs."""

    def __init__(self, node: Any, body: Body) -> None:
        self.node = node
        self.op_type: str = node.op_type
        self.attributes = attributes_of(node)
        self._body = body

    def attr(self, name: str, default: Any = None) -> Any:
        """The attribute as a Python value."""
        return self.attributes.get(name, default)

    def has(self, index: int) -> bool:
        """Whether input `index` is given."""
        return index < len(self.node.input) and bool(self.node.input[index])

    def const(self, index: int) -> Array | None:
        """The constant behind input `index`, or None."""
        return self._body.consts.get(self.node.input[index]) if self.has(index) else None

    def weight(self, index: int) -> Array:
        """The constant behind input `index`, which must be one."""
        found = self.const(index)
        if found is None:
            raise NotExpressibleError(f"input {index} is not constant")
        return found

    def static(self, index: int) -> Array | None:
        """A parameter given as an input: None when absent, else it must be constant."""
        return self.weight(index) if self.has(index) else None

    def ints(self, name: str, index: int | None = None) -> tuple[int, ...] | None:
        """Integers from attribute `name`, or from static input `index` (newer opsets); None when absent."""
        if name in self.attributes:
            return tuple(int(v) for v in self.attributes[name])
        found = self.static(index) if index is not None else None
        return None if found is None else tuple(int(v) for v in found.reshape(-1))

    def scalar(self, index: int) -> float | None:
        """A static scalar input; None when absent."""
        found = self.static(index)
        if found is None:
            return None
        self.require(found.size == 1, f"input {index} is no scalar")
        return float(found.reshape(-1)[0])

    def shape(self, index: int) -> Shape | None:
        """Shape of input `index` when known."""
        return self._shape_of(self.node.input[index]) if self.has(index) else None

    def output_shape(self) -> Shape | None:
        """Shape of the first output when known."""
        return self._shape_of(self.node.output[0])

    def rank(self, index: int) -> int:
        """Rank of input `index`, which must be known."""
        shape = self.shape(index)
        if shape is None:
            raise NotExpressibleError(f"the rank of input {index} is unknown")
        return len(shape)

    def axis(self, value: int, rank: int) -> int:
        """`value` counted from the front."""
        self.require(-rank <= value < rank, f"axis {value} of rank {rank}")
        return value % rank

    def dtype(self, index: int) -> str:
        """Dtype name of input `index`."""
        name = self.node.input[index]
        if name in self._body.consts:
            return str(self._body.consts[name].dtype.name)
        return self._body.types[name].dtype if name in self._body.types else UNKNOWN

    def require(self, condition: bool, reason: str) -> None:
        """Raise NotExpressibleError with `reason` unless `condition`."""
        if not condition:
            raise NotExpressibleError(reason)

    def only_output(self) -> None:
        """Require that no output but the first is used."""
        used = [name for name in self.node.output[1:] if name and self._body.reads[name]]
        self.require(not used, "a second output is used")

    def _shape_of(self, name: str) -> Shape | None:
        if name in self._body.consts:
            return tuple(int(d) for d in np.shape(self._body.consts[name]))
        return self._body.types[name].shape if name in self._body.types else None

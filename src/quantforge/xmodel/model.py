"""The records of an xmodel: operators with one output tensor each, and a tree of subgraphs over them.

Activations are NHWC, weights OHWI (depthwise: multiplier, H, W, C), biases [O]; kernel, stride and dilation are
(w, h[, d]) and pads (left, right, top, bottom[, near, far]). An argument of an operator names the *operators* that
produce its tensors. A tensor in fixed point is of type XINT or XUINT and carries `fix_point`, `bit_width`,
`if_signed` and `round_mode`; the real number is integer * 2**-fix_point.

Records are mutable: a compiler edits them in place, and the `xir` door hands them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from quantforge.diagnostics import InternalError

Letters = Literal["INT", "UINT", "XINT", "XUINT", "FLOAT", "BFLOAT", "UNKNOWN"]
_NUMPY = {"INT": "int", "UINT": "uint", "XINT": "int", "XUINT": "uint", "FLOAT": "float"}


@dataclass(frozen=True)
class DataType:
    """Letters and bits of an element: FLOAT 32, XINT 8 (fixed point), INT 32.

    >>> DataType.parse("xint8")
    DataType(letters='XINT', bits=8)
    >>> str(DataType("FLOAT", 32)), DataType("XINT", 8).numpy
    ('FLOAT32', dtype('int8'))
    """

    letters: Letters
    bits: int

    @classmethod
    def parse(cls, text: str) -> DataType:
        """From a text such as "FLOAT32" or "xint8".

        Raises:
            ValueError: For any other text, mixed case included.
        """
        found = re.fullmatch(r"(x?u?int|b?float|unknown)(\d+)", text.lower())
        if found is None or text not in (text.lower(), text.upper()):
            raise ValueError(f"{text!r} is no data type; expected one such as FLOAT32 or XINT8")
        return cls(found[1].upper(), int(found[2]))  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.letters}{self.bits}"

    @property
    def numpy(self) -> np.dtype[Any] | None:
        """The NumPy type that holds one element; None where there is none (bfloat16, 4 bits)."""
        if self.letters not in _NUMPY or self.bits not in (8, 16, 32, 64):
            return None
        return (
            np.dtype(f"{_NUMPY[self.letters]}{self.bits}")
            if (self.letters, self.bits) != ("FLOAT", 8)
            else None
        )

    @property
    def fixed(self) -> bool:
        """Whether numbers of this type are fixed-point."""
        return self.letters in ("XINT", "XUINT")


FLOAT32 = DataType("FLOAT", 32)
XINT8 = DataType("XINT", 8)

Scalar = Literal["bool", "int32", "uint32", "int64", "uint64", "float", "double", "string", "bytes"]
SCALARS: tuple[Scalar, ...] = (
    "bool", "int32", "uint32", "int64", "uint64", "float", "double", "string", "bytes",
)  # fmt: skip
VECTORS = tuple(f"{kind}_vec" for kind in SCALARS)
MAPS = tuple(
    f"map_string_2_{kind}"
    for kind in (
        "int32", "uint32", "int64", "uint64", "string", "bytes",
        "int32_vec", "uint32_vec", "int64_vec", "uint64_vec", "string_vec",
    )
)  # fmt: skip
ATTR_KINDS = (*SCALARS, *VECTORS, *MAPS)


@dataclass(frozen=True)
class Attr:
    """An attribute: its kind in the file ("int32", "float_vec", "map_string_2_string", ...) and its value.

    Vectors are tuples, maps are dicts with text keys.

    >>> Attr("int32_vec", (1, 2)).value
    (1, 2)
    """

    kind: str
    value: Any


Attrs = dict[str, Attr]


@dataclass
class Tensor:
    """What an operator gives: unique name, shape (all sizes known and positive), element type, attributes."""

    name: str
    shape: tuple[int, ...]
    dtype: DataType = FLOAT32
    attrs: Attrs = field(default_factory=dict)

    @property
    def fix_point(self) -> int | None:
        """Number of fractional bits of a fixed-point tensor."""
        found: int | None = value_of(self.attrs, "fix_point")
        return found


@dataclass
class XOp:
    """One operator: unique name, kind, producers by argument name in order, attributes, output tensor."""

    name: str
    kind: str
    tensor: Tensor
    args: dict[str, tuple[str, ...]] = field(default_factory=dict)
    attrs: Attrs = field(default_factory=dict)

    def arg(self, name: str, index: int = 0) -> str | None:
        """The producer of one argument; None when it is absent."""
        names = self.args.get(name, ())
        return names[index] if index < len(names) else None

    @property
    def producers(self) -> tuple[str, ...]:
        """All producers, argument by argument."""
        return tuple(name for names in self.args.values() for name in names)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of an attribute, or `default`."""
        return value_of(self.attrs, name, default)


@dataclass
class Subgraph:
    """A node of the tree over the operators: a leaf has `ops`, an inner node `children`."""

    name: str
    ops: list[str] = field(default_factory=list)
    children: list[Subgraph] = field(default_factory=list)
    attrs: Attrs = field(default_factory=dict)

    def all_ops(self) -> Iterator[str]:
        """Names of the operators below this node."""
        yield from self.ops
        for child in self.children:
            yield from child.all_ops()

    def get(self, name: str, default: Any = None) -> Any:
        """The value of an attribute, or `default`."""
        return value_of(self.attrs, name, default)


@dataclass
class XModel:
    """A graph: operators by name in topological order, the root of the subgraph tree, attributes.

    A model that is quantized and not yet compiled has no children below its root.
    """

    name: str
    ops: dict[str, XOp] = field(default_factory=dict)
    root: Subgraph = field(default_factory=lambda: Subgraph("root"))
    attrs: Attrs = field(default_factory=dict)

    def add(self, op: XOp) -> XOp:
        """Append an operator whose producers are there already.

        Raises:
            InternalError: Q0990 for a second operator of a name, or a producer that is not there yet.
        """
        missing = [name for name in op.producers if name not in self.ops]
        if op.name in self.ops or missing:
            found = (
                f"reads {missing[0]!r}, which comes later" if missing else "a second operator of this name"
            )
            raise InternalError("Q0990", op.name, found, "unique names, producers first", "report this bug")
        self.ops[op.name] = op
        return op

    def consumers(self) -> dict[str, list[str]]:
        """Names of the readers of each operator, in order, each once; made anew at each call."""
        readers: dict[str, list[str]] = {name: [] for name in self.ops}
        for op in self.ops.values():
            for name in dict.fromkeys(op.producers):
                readers[name].append(op.name)
        return readers


def value_of(attrs: Mapping[str, Attr], name: str, default: Any = None) -> Any:
    """The value of attribute `name`, or `default` when it is absent."""
    found = attrs.get(name)
    return default if found is None else found.value

"""The torch door's own records: what `Origin.native` and `Graph.native` hold, and the names of dtypes.

A size that is only known when the model runs (the batch) is an expression over symbols; each symbol is the size of
one axis of one graph input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from quantforge.graph import Shape

NOT_A_TENSOR = "not-a-tensor"

Sizes = Mapping[str, int]  # by symbol


@dataclass(frozen=True)
class Ref:
    """Stands for input `index` of the op in the arguments of a native call."""

    index: int


@dataclass(frozen=True)
class Size:
    """Stands for a size that is known when running: a SymPy expression over symbols."""

    expression: Any

    def of(self, sizes: Sizes) -> int:
        """Its value for the sizes of one run."""
        found = self.expression
        symbols = sorted(found.free_symbols, key=str)
        values = [sizes[str(symbol)] for symbol in symbols]
        if all(isinstance(value, int) for value in values):
            return int(found.subs(dict(zip(symbols, values, strict=True))))
        import sympy  # 0.7 s and 40 MB that fine-tuning of an ONNX model does without

        size: int = sympy.lambdify(symbols, found, "math")(*values)  # torch.export traces sizes too
        return size


@dataclass(frozen=True, eq=False)
class NativeCall:
    """A call of an ATen operator; tensors among the arguments are `Ref`, sizes known later are `Size`."""

    target: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    nested: bool = False  # returns several tensors


@dataclass(frozen=True)
class Fixed:
    """An output that is not a tensor of the graph: a number, None, or a size."""

    value: Any


@dataclass(frozen=True, eq=False)
class NativeModule:
    """What the module says besides its graph.

    Attributes:
        name: Name of the module's class.
        in_spec: How (args, kwargs) flatten into leaves (a pytree).
        out_spec: How the outputs are nested.
        leaves: For each leaf of the arguments the graph input it feeds, None for those that are constants.
        returned: For each leaf of the outputs the graph value, or what it is instead.
        symbols: For each symbolic size the graph input and the axis that tell it.
        positional: How many of the example arguments were positional.
        named: Names of the others.
        outside: Names of the operators that the module's stubs keep in float.
        sources: For each native node the lines of the user's code that make the call.
        scopes: For each native node the classes and names of the modules it is called in.
        written: Names of the buffers that the module writes to while it runs.
    """

    name: str
    in_spec: Any
    out_spec: Any
    leaves: tuple[str | None, ...]
    returned: tuple[str | Fixed, ...]
    symbols: Mapping[str, tuple[str, int]]
    positional: int
    named: tuple[str, ...]
    outside: tuple[str, ...] = ()
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scopes: Mapping[str, str] = field(default_factory=dict)
    written: tuple[str, ...] = ()


def dtype_name(dtype: torch.dtype) -> str:
    """The NumPy name of a torch dtype.

    >>> dtype_name(torch.float32), dtype_name(torch.int64)
    ('float32', 'int64')
    """
    return str(dtype).removeprefix("torch.")


def symbol_of(size: Any) -> str | None:
    """The symbol that `size` is; None for numbers and for expressions such as 2*s0."""
    expression = getattr(getattr(size, "node", None), "expr", None)
    return str(expression) if expression is not None and expression.is_Symbol else None


def shape_of(tensor: torch.Tensor, names: Mapping[str, str]) -> Shape:
    """The shape of a traced tensor; symbols under their `names`, expressions unknown."""
    return tuple(size if isinstance(size, int) else _dim(size, names) for size in tensor.shape)


def _dim(size: Any, names: Mapping[str, str]) -> int | str | None:
    expression = size.node.expr
    if expression.is_number:
        return int(expression)
    symbol = symbol_of(size)
    return None if symbol is None else names.get(symbol, symbol)

"""An xmodel as a stage, on the reference engine or the fast one; compiled or only quantized.

Tensors are known by the graph's values where the compiler wrote which operator holds which value (attributes
`quantforge_values` and `quantforge_orders`), or by their own names (`native`), which is how two xmodels are compared.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quantforge.debugging.model_inputs import ModelInputs
from quantforge.debugging.observe import Observer
from quantforge.debugging.stage import Array, Arrays, Signal, from_memory, reshaped
from quantforge.runtime.program import CONSTANTS
from quantforge.xmodel.model import XModel, XOp, value_of

Order = tuple[int, ...]
_GRIDS = ("fix", "fix2float")  # float operators whose results are integers * 2**-fix_point


class XmodelStage:
    """Runs a model and gives the tensors of all its operators."""

    def __init__(self, model: XModel, mode: str, label: str, native: bool = False) -> None:
        """Prepare `model`; `mode` is run (fast engine) or ref (reference engine). Errors as `observe.Observer`."""
        self.label = label
        self.model = model
        self.observer = Observer(model, mode)
        self.native = native
        orders = value_of(model.attrs, "quantforge_orders", {})
        holders: Mapping[str, str] = {} if native else value_of(model.attrs, "quantforge_values", {})
        self.signals: dict[str, Signal] = {}
        self.holders: dict[str, XOp] = {}
        self._orders: dict[str, Order] = {}
        for name, op in _named(model, holders):
            self.holders[name] = op
            self.signals[name] = Signal(name, op.tensor.name, position_of(op), (op.name,))
            order = tuple(orders.get(name, ()))
            if order and not native:
                self._orders[name] = order
        self.arguments = ModelInputs(model)
        self.inputs = self.arguments.infos

    def run(self, feeds: Arrays) -> dict[str, Array]:
        """Every signal of one batch; `feeds` are real numbers by input name, in the axes of `inputs`."""
        made = self.observer.run(self.arguments.feeds(feeds))
        return {name: self.integers(op, made[op.name]) for name, op in self.holders.items()}

    def view(self, name: str, array: Array, shape: tuple[int, ...]) -> Array | None:
        """From the order in memory to the axes of the value."""
        order = self._orders.get(name)
        return reshaped(array, shape) if order is None else from_memory(array, order, shape)

    def memory(self, name: str, array: Array) -> Array:
        """From the axes of the value to the order and sizes in memory; the inverse of `view`."""
        order = self._orders.get(name)
        tensor = self.holders[name].tensor
        moved = array if order is None else array.transpose(order)
        return np.ascontiguousarray(moved).reshape((-1, *tensor.shape[1:]) if tensor.shape else tensor.shape)

    def integers(self, op: XOp, array: Array) -> Array:
        """The integers of a tensor that stands for some, kept as floats or not; anything else as it is."""
        if op.kind not in _GRIDS or op.tensor.dtype.fixed:
            return array
        scaled = np.ldexp(array.astype(np.float64), int(op.get("fix_point")))
        return np.asarray(np.rint(scaled), np.int32)


def _named(model: XModel, holders: Mapping[str, str]) -> list[tuple[str, XOp]]:
    """Signals in topological order: values by the operators that hold them, or operators by their tensors' names."""
    if not holders:
        return [(op.tensor.name, op) for op in model.ops.values() if op.kind not in CONSTANTS]
    place = {name: index for index, name in enumerate(model.ops)}
    known = [(value, name) for value, name in holders.items() if name in place]
    return [(value, model.ops[name]) for value, name in sorted(known, key=lambda pair: place[pair[1]])]


def position_of(op: XOp) -> int | None:
    """Fractional bits of an operator's numbers when they are integers, as such or as floats."""
    if op.tensor.dtype.fixed:
        return op.tensor.fix_point
    found: int | None = op.get("fix_point") if op.kind in _GRIDS else None
    return found

"""The inputs of an xmodel as a caller gives them: real numbers in the order of axes of the original model."""

from __future__ import annotations

import numpy as np

from quantforge.calibration.samples import InputInfo
from quantforge.debugging.observe import stored
from quantforge.debugging.stage import Array, Arrays
from quantforge.runtime.program import DATA
from quantforge.xmodel.model import XModel, XOp, value_of

Order = tuple[int, ...]


class ModelInputs:
    """Input operators, what they are called, and how their axes were ordered before compilation.

    Attributes:
        model: The model.
        ops: Its input operators, in order.
        infos: Name, dtype and shape of what the caller gives for each.
    """

    def __init__(self, model: XModel) -> None:
        self.model = model
        self.ops = tuple(op for op in model.ops.values() if op.kind in DATA)
        orders = value_of(model.attrs, "quantforge_orders", {})
        self._orders: dict[str, Order] = {}
        for op in self.ops:
            order = tuple(orders.get(op.name, ()))
            if len(order) == len(op.tensor.shape):
                self._orders[op.name] = order
        self.infos = tuple(self._info(op) for op in self.ops)

    def feeds(self, given: Arrays) -> dict[str, Array]:
        """The caller's arrays as the input operators store them: integers where those are fixed-point."""
        return {op.name: stored(op, self.memory(op, given[op.name])) for op in self.ops}

    def memory(self, op: XOp, array: Array) -> Array:
        """From the caller's order of axes to that in memory."""
        order = self._orders.get(op.name)
        return array if order is None else np.ascontiguousarray(array.transpose(order))

    def value(self, op: XOp, array: Array) -> Array:
        """From the order in memory to the caller's; the inverse of `memory`."""
        order = self._orders.get(op.name)
        return array if order is None else array.transpose(np.argsort(order))

    def _info(self, op: XOp) -> InputInfo:
        order = self._orders.get(op.name, tuple(range(len(op.tensor.shape))))
        shape = tuple(op.tensor.shape[order.index(axis)] for axis in range(len(order)))
        dtype = op.tensor.dtype.numpy
        plain = op.tensor.dtype.fixed or dtype is None
        return InputInfo(op.name, "float32" if plain else str(dtype), shape)

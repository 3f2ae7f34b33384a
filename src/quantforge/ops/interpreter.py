"""The reference interpreter: runs a graph op by op, slowly, as the living definition of its meaning.

Float mode: float kernels; a value with a `QuantSpec` is fake-quantized as soon as it exists.
Integer mode: a value with an integer spec is an `IntTensor`, operators compute exactly on those, and a result
is rounded where its value carries a spec. An operator without an exact form for its inputs runs in float on the
dequantized values, and so does all that has no spec behind it.

With power-of-two scales both modes give the same numbers as long as accumulators stay below 2**24, where
float32 is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.graph import Array, Graph, Op, Value
from quantforge.graph.execution import Feeds
from quantforge.graph.quantize import fake_quantize_value, quantize_value
from quantforge.numerics.formats import IntFormat
from quantforge.ops.integer import IntTensor, requantize
from quantforge.ops.registry import spec

Mode = Literal["float", "integer"]
OpaqueEvaluator = Callable[[Op, Sequence[Array | None]], Sequence[Array]]
Tensor = IntTensor | Array


@dataclass(frozen=True)
class Interpreter:
    """An executor. `evaluate_opaque` runs operators the graph does not know; without it they are refused."""

    mode: Mode = "float"
    evaluate_opaque: OpaqueEvaluator | None = None

    def session(self, graph: Graph, observe: Sequence[str], brief: bool = False) -> InterpreterSession:
        """Prepare `graph` for running; `observe` names any of its values. `brief` makes no difference here.

        Raises:
            InputError: Q0409 when the graph has no value of an observed name.
        """
        for name in observe:
            if not graph.has_value(name):
                raise InputError(
                    "Q0409", graph.name, f"no value {name!r}", "a value of the graph", "check the name"
                )
        return InterpreterSession(graph, tuple(observe), self)


class InterpreterSession:
    """A graph ready to run. Constants are quantized once, intermediate values are dropped after their last use."""

    def __init__(self, graph: Graph, observe: tuple[str, ...], settings: Interpreter) -> None:
        self._graph = graph
        self._observe = observe
        self._settings = settings
        self._constants = {v.name: self._store(v, v.const) for v in graph.values if v.const is not None}
        self._last_use = {name: op.name for op in graph.ops for name in (*op.inputs, *op.outputs)}

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """The observed values of one batch; quantized ones as the reals they stand for."""
        return {name: as_float(tensor) for name, tensor in self._run(feeds).items()}

    def run_integers(self, feeds: Feeds) -> Mapping[str, Array]:
        """The observed values of one batch as they are stored: integers where the value has an integer spec.

        In integer mode only; values without an integer spec come as in `run`.
        """
        stored: dict[str, Array] = {}
        for name, tensor in self._run(feeds).items():
            spec_ = self._graph.value(name).quant
            if isinstance(tensor, IntTensor) and spec_ is not None and isinstance(spec_.format, IntFormat):
                stored[name] = tensor.data.astype(spec_.format.storage)
            else:
                stored[name] = as_float(tensor)
        return stored

    def _run(self, feeds: Feeds) -> dict[str, Tensor]:
        live: dict[str, Tensor] = {}
        observed: dict[str, Tensor] = {}
        for name in self._graph.inputs:
            live[name] = self._store(self._graph.value(name), self._checked(name, feeds))
        for name in self._observe:
            if name in live or name in self._constants:
                observed[name] = live.get(name, self._constants.get(name, np.empty(0)))
        for op in self._graph.ops:
            inputs = [None if not name else live.get(name, self._constants.get(name)) for name in op.inputs]
            for name, tensor in zip(op.outputs, self._evaluate(op, inputs), strict=False):
                if name:
                    live[name] = self._store(self._graph.value(name), tensor)
                    if name in self._observe:
                        observed[name] = live[name]
            for name in {*op.inputs, *op.outputs}:
                if self._last_use.get(name) == op.name:
                    live.pop(name, None)
        return observed

    def _evaluate(self, op: Op, inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        if any(isinstance(tensor, IntTensor) for tensor in inputs):
            exact = spec(op.kind).integer(op, inputs)
            if exact is not None:
                return exact
        arrays = [None if tensor is None else as_float(tensor) for tensor in inputs]
        if op.kind == "opaque" and self._settings.evaluate_opaque is not None:
            return self._settings.evaluate_opaque(op, arrays)
        return spec(op.kind).compute(op, arrays)

    def _store(self, value: Value, tensor: Tensor) -> Tensor:
        """The tensor in the form its value asks for."""
        if value.quant is None:
            return tensor
        if self._settings.mode == "float" or not isinstance(value.quant.format, IntFormat):
            return fake_quantize_value(as_float(tensor), value.quant, value.name)
        if isinstance(tensor, IntTensor):
            return requantize(tensor, value.quant)
        return IntTensor.from_spec(quantize_value(tensor, value.quant, value.name), value.quant)

    def _checked(self, name: str, feeds: Feeds) -> Array:
        value = self._graph.value(name)
        expected = f"{value.dtype}{list(value.shape) if value.shape is not None else ''}"
        if name not in feeds:
            found = f"no data for input {name!r} among {sorted(feeds)}"
            raise InputError(
                "Q0406", self._graph.name, found, f"{name}: {expected}", "feed every graph input"
            )
        array = np.asarray(feeds[name])
        if not _fits(value, array):
            found = f"{array.dtype}{list(array.shape)}"
            raise InputError(
                "Q0406", f"input {name}", found, expected, "convert the data, or check its layout"
            )
        return array


def as_float(tensor: Tensor) -> Array:
    """Reals of an integer tensor; an array as it is."""
    return tensor.to_float() if isinstance(tensor, IntTensor) else tensor


def _fits(value: Value, array: Array) -> bool:
    if value.dtype != str(array.dtype):
        return False
    if value.shape is None:
        return True
    sizes = zip(value.shape, array.shape, strict=False)
    return len(value.shape) == array.ndim and all(not isinstance(d, int) or d == n for d, n in sizes)

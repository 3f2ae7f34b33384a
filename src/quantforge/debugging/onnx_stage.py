"""A float or quantized ONNX model as a stage, on ONNX Runtime.

A value that a QuantizeLinear stores with one power-of-two scale and no zero point is given as integers: the float32
that ONNX Runtime computed, divided by the scale, which is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quantforge.debugging.stage import Array, Arrays, Signal, reshaped
from quantforge.frontends.onnx import OnnxExecutor, absorb, import_model, input_infos
from quantforge.graph import Graph, Op
from quantforge.graph.quantize import quantize_value

_ROUNDED = "_Rounded"  # what the torch door's exporter calls a value behind its rounding function


class OnnxStage:
    """Runs an ONNX model and gives all its float values."""

    def __init__(self, source: Any, label: str | None = None, threads: int | None = None) -> None:
        """Read the model.

        Raises:
            InputError: Q0101 to Q0110 when it cannot be read, Q0111 when ONNX Runtime refuses it.
        """
        native = import_model(source)
        graph = absorb(native)
        self.label = str(source) if label is None else label
        self.inputs = input_infos(native)
        self._graph = graph
        self._observed: dict[str, str] = {}
        self.signals: dict[str, Signal] = {}
        self._sources: dict[str, str] = {}  # signal -> the value that has its spec, where that is another one
        for name in (*graph.inputs, *(output for op in graph.ops for output in op.outputs if output)):
            self._add(native, name)
        self._take_rounded()
        self._session = OnnxExecutor(threads=threads).session(
            native, list(dict.fromkeys(self._observed.values()))
        )

    @property
    def quantized(self) -> bool:
        """Whether any value is given as integers."""
        return any(signal.position is not None for signal in self.signals.values())

    def run(self, feeds: Arrays) -> dict[str, Array]:
        """Every signal of one batch, in the model's order of axes."""
        found = self._session.run({info.name: feeds[info.name] for info in self.inputs})
        return {name: self._stored(name, found[observed]) for name, observed in self._observed.items()}

    def view(self, name: str, array: Array, shape: tuple[int, ...]) -> Array | None:
        """The array itself: other stages are brought to the order of this one."""
        return reshaped(array, shape)

    def _add(self, native: Graph, name: str) -> None:
        value = self._graph.value(name)
        if value.dtype != "float32" or value.is_const or not native.has_value(name):
            return
        spec = value.quant
        position = None if spec is None else spec.position
        self._observed[name] = name if spec is None else rounded_value(native, name)
        self.signals[name] = Signal(name, self._observed[name], position)

    def _take_rounded(self) -> None:
        """A value that a function rounds before it is stored is what that function makes of it."""
        for name in [name for name in self.signals if name.endswith(_ROUNDED)]:
            value = name.removesuffix(_ROUNDED)
            if value in self.signals and self.signals[name].position is not None:
                rounded = self.signals.pop(name)
                self.signals[value] = Signal(value, rounded.tensor, rounded.position)
                self._observed[value] = self._observed.pop(name)
                self._sources[value] = name

    def _stored(self, name: str, array: Array) -> Array:
        spec = self._graph.value(self._sources.get(name, name)).quant
        if self.signals[name].position is None or spec is None:
            return array.copy()  # the session uses its memory again
        return np.asarray(quantize_value(array, spec, name))


def rounded_value(graph: Graph, name: str) -> str:
    """The value that holds `name` after rounding: the result of the DequantizeLinear behind it."""
    producer = graph.producer(name)
    if producer is not None and _type(producer) == "DequantizeLinear":
        return name
    for reader in graph.consumers(name):
        if _type(reader) == "QuantizeLinear":
            back = (op for op in graph.consumers(reader.outputs[0]) if _type(op) == "DequantizeLinear")
            for op in back:
                return op.outputs[0]
        elif reader.kind in ("clip", "relu6") and reader.outputs[0].endswith("_Clip_Output"):
            behind = rounded_value(graph, reader.outputs[0])
            if behind != reader.outputs[0]:
                return behind
    return name


def _type(op: Op) -> str:
    return str(op.attrs.get("type", "")) if op.kind == "opaque" else ""

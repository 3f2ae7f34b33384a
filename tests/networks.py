"""Small networks for the tests of passes, with random constants from a fixed seed."""

from __future__ import annotations

import numpy as np

from quantforge.graph import Array, Graph, Op, Value

CONV = {
    "kernel": (3, 3),
    "stride": (1, 1),
    "dilation": (1, 1),
    "pads": (1, 1, 1, 1),
    "layout": "NCHW",
    "weight_layout": "OIHW",
}


class Net:
    """Builds a graph op by op; every method returns the name of the value it made."""

    def __init__(self, channels: int = 3, size: int = 6, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.graph = Graph("net", [Value("x", ("batch", channels, size, size))], inputs=["x"])

    def const(self, name: str, data: Array) -> str:
        data = np.asarray(data, np.float32)
        return self.graph.set_value(Value(name, data.shape, "float32", data)).name

    def add(
        self, kind: str, name: str, inputs: tuple[str, ...], channels: int | None = None, **attrs: object
    ) -> str:
        shape = self.graph.value(inputs[0]).shape
        assert shape is not None
        self.graph.set_value(Value(f"{name}.out", (shape[0], channels or shape[1], *shape[2:])))
        self.graph.add_op(Op(kind, name, inputs, (f"{name}.out",), attrs))  # type: ignore[arg-type]
        return f"{name}.out"

    def conv(self, name: str, source: str, channels: int, bias: bool = True) -> str:
        shape = self.graph.value(source).shape
        weights = self.const(f"{name}.w", self.rng.normal(size=(channels, shape[1], 3, 3)))  # type: ignore[index]
        names = (self.const(f"{name}.b", self.rng.normal(size=channels)),) if bias else ()
        return self.add("conv2d", name, (source, weights, *names), channels, group=1, **CONV)

    def depthwise(self, name: str, source: str) -> str:
        channels = self.graph.value(source).shape[1]  # type: ignore[index]
        weights = self.const(f"{name}.w", self.rng.normal(size=(channels, 1, 3, 3)))  # type: ignore[arg-type]
        return self.add("depthwise-conv2d", name, (source, weights), group=channels, **CONV)  # type: ignore[arg-type]

    def batchnorm(self, name: str, source: str) -> str:
        channels = self.graph.value(source).shape[1]  # type: ignore[index]
        rows = [
            self.const(f"{name}.{stem}", self.rng.uniform(0.5, 2.0, channels))  # type: ignore[arg-type]
            for stem in ("gamma", "beta", "mean", "var")
        ]
        return self.add("batchnorm", name, (source, *rows), epsilon=1e-5, layout="NCHW")

    def done(self, *outputs: str) -> Graph:
        self.graph.outputs = outputs
        return self.graph

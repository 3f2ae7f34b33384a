"""A small classifier, and data for it, for the tests of judging and climbing."""

from __future__ import annotations

import numpy as np

from quantforge.calibration.data import DataSource, open_data
from quantforge.calibration.samples import InputInfo
from quantforge.graph import Graph, Op, Value

FEATURES, HIDDEN, CLASSES = 6, 8, 5
DATA = np.random.default_rng(1).normal(size=(24, FEATURES)).astype(np.float32)


def classifier(seed: int = 3) -> Graph:
    """x -> l1 -> relu -> l2 -> relu2 -> l3, five scores."""
    rng = np.random.default_rng(seed)
    graph = Graph("net", [Value("x", ("batch", FEATURES))], inputs=["x"])
    source, width = "x", FEATURES
    for name, size in (("l1", HIDDEN), ("l2", HIDDEN), ("l3", CLASSES)):
        graph.set_value(
            Value(f"{name}.w", (size, width), const=rng.normal(size=(size, width)).astype(np.float32))
        )
        graph.set_value(Value(f"{name}.b", (size,), const=rng.normal(size=size).astype(np.float32)))
        graph.set_value(Value(f"{name}.out", ("batch", size)))
        inputs = (source, f"{name}.w", f"{name}.b")
        graph.add_op(Op("inner-product", name, inputs, (f"{name}.out",), {"weight_layout": "OI"}))
        source, width = f"{name}.out", size
        if name != "l3":
            graph.set_value(Value(f"{name}.relu", ("batch", size)))
            graph.add_op(Op("relu", f"{name}.r", (source,), (f"{name}.relu",)))
            source = f"{name}.relu"
    graph.outputs = ("l3.out",)
    return graph


def source(batch: int = 8) -> DataSource:
    """The data, read in batches."""
    return open_data(DATA, [InputInfo("x", "float32", ("batch", FEATURES))], batch_size=batch)

"""A model as ONNX text, lowered, checked as a file would be, and run beside ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from quantforge.compiler.lower import lower
from quantforge.compiler.lowering.concrete import concrete
from quantforge.frontends.onnx import OnnxExecutor, import_model, single_node
from quantforge.graph import Array, Graph
from quantforge.xmodel.model import XModel, XOp
from quantforge.xmodel.write import to_bytes
from tests import xir_float
from tests.unit.frontends.onnx.text_models import model, random


def lowered(text: str, opset: int = 17, tolerance: float = 1e-5, **arrays: Any) -> XModel:
    """The xmodel of a text model: it can be written, and every value is what ONNX Runtime computes for it."""
    arrays = {name: np.asarray(data) for name, data in arrays.items()}
    return lowered_graph(import_model(model(text, opset, **arrays)), tolerance)


def lowered_graph(graph: Graph, tolerance: float = 1e-5) -> XModel:
    """The same of a graph."""
    made = lower(graph, node_of=single_node)
    to_bytes(made)
    fixed = concrete(graph)
    feeds = {
        name: _data(fixed.value(name).shape or (), fixed.value(name).dtype, seed)
        for seed, name in enumerate(fixed.inputs)
    }
    found = xir_float.run(made, xir_float.in_xir_order(made, _stored(feeds)))
    values = {value.name: tuple(value.shape or ()) for value in fixed.values}
    actual = xir_float.values(made, found, values)
    assert set(graph.outputs) <= set(actual)
    names = [name for name in actual if not fixed.value(name).is_const]
    expected = OnnxExecutor().session(fixed, names).run(feeds)
    for name in names:
        bound = tolerance * max(1.0, float(np.abs(expected[name].astype(np.float64)).max(initial=0.0)))
        np.testing.assert_allclose(
            actual[name].astype(np.float64),
            expected[name].astype(np.float64),
            rtol=0,
            atol=bound,
            err_msg=name,
        )
    return made


def _data(shape: tuple[Any, ...], dtype: str, seed: int) -> Array:
    real = random(*shape, seed=seed)
    return (real > 0) if dtype == "bool" else (real * 3).astype(dtype)


def _stored(feeds: dict[str, Array]) -> dict[str, Array]:
    """Booleans as bytes."""
    return {name: data.astype(np.uint8) if data.dtype == bool else data for name, data in feeds.items()}


def kinds(made: XModel) -> Counter[str]:
    """How many operators of each kind, data and constants left out."""
    return Counter(op.kind for op in made.ops.values() if op.kind not in ("data", "const"))


def only(made: XModel, kind: str) -> XOp:
    """The one operator of a kind."""
    (op,) = (op for op in made.ops.values() if op.kind == kind)
    return op

"""Models as ONNX text, and what tests do with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper, parser

from quantforge.frontends.onnx import import_model, to_proto
from quantforge.graph import Array, Graph

DATA = Path(__file__).parents[5] / "shared" / "data" / "models"
ort.set_default_logger_severity(4)


def model(text: str, opset: int = 17, ir_version: int = 8, **arrays: Array) -> Any:
    """The model ``agraph (inputs) => (outputs) {...}``; `arrays` become initializers."""
    header = f'<ir_version: {ir_version}, opset_import: ["" : {opset}]>\n'
    proto = parser.parse_model(header + text)
    proto.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items())
    return proto


def random(*shape: int, seed: int = 0) -> Array:
    """Float32 normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run(source: Any, feeds: dict[str, Array]) -> list[Array]:
    """Outputs of a model in stock ONNX Runtime."""
    data = source.SerializeToString() if isinstance(source, onnx.ModelProto) else str(source)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # the models are small
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return [np.asarray(y) for y in session.run(None, feeds)]


def round_trip(source: Any, feeds: dict[str, Array]) -> Graph:
    """Import and emit; the result is legal and computes the same to 1e-5 (another opset may fuse differently)."""
    graph = import_model(source)
    made = to_proto(graph)
    onnx.checker.check_model(made, full_check=True)
    for want, got in zip(run(source, feeds), run(made, feeds), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    return graph


def kinds(graph: Graph) -> list[str]:
    """Kinds in order."""
    return [op.kind for op in graph.ops]

"""The ONNX door: ONNX model to graph, graph to ONNX model, and a graph run on ONNX Runtime."""

from quantforge.frontends.onnx.absorb_qdq import absorb
from quantforge.frontends.onnx.emit import emit, to_proto
from quantforge.frontends.onnx.import_ import import_model
from quantforge.frontends.onnx.run import OnnxExecutor, OnnxSession, input_infos
from quantforge.frontends.onnx.single_node import single_node

__all__ = [
    "OnnxExecutor",
    "OnnxSession",
    "absorb",
    "emit",
    "import_model",
    "input_infos",
    "single_node",
    "to_proto",
]

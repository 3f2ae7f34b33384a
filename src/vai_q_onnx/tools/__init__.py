"""The original's tools, run as ``python -m vai_q_onnx.tools.remove_qdq --input q.onnx --output float.onnx``."""

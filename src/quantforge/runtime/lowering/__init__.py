"""How each kind of DPU operator becomes nodes of an integer ONNX graph."""

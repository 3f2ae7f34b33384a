"""ONNX forms of ATen operators that the graph has no kind for; `table` lists them, one file per family."""

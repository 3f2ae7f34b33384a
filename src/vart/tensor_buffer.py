"""`TensorBuffer`: memory of one tensor that NumPy can alias."""

from quantforge.runtime.buffers import TensorBuffer

__all__ = ["TensorBuffer"]

from __future__ import annotations

from quantforge.runtime.buffers import TensorBuffer as Buffer
from vart.tensor_buffer import TensorBuffer


def test_it_is_the_runtimes() -> None:
    assert TensorBuffer is Buffer

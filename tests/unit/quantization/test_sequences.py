import numpy as np

from quantforge.graph import Graph, Value
from quantforge.graph.graph import Shape
from quantforge.quantization.sequences import sequence_length


def graph(shape: Shape | None) -> Graph:
    return Graph("g", [Value("x", shape)], inputs=["x"])


def test_open_sequences_are_as_long_as_the_longest() -> None:
    batches = [{"x": np.zeros((2, length), np.int64)} for length in (5, 9, 7)]
    assert sequence_length(graph(("batch", "tokens")), batches) == 9
    assert sequence_length(graph((None, None)), batches) == 9
    assert sequence_length(graph(("batch", "tokens")), []) == 1


def test_known_sizes_and_images_count_by_their_shapes() -> None:
    assert sequence_length(graph(("batch", 12)), [{"x": np.zeros((2, 12))}]) == 1
    assert sequence_length(graph(("batch", 3, "h", "w")), [{"x": np.zeros((2, 3, 8, 8))}]) == 1
    assert sequence_length(graph(None), [{"x": np.zeros((2, 8))}]) == 1

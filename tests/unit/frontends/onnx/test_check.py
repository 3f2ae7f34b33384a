"""Malformed graphs, and a fuzz test: whatever the bytes, nothing but coded errors."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError, QuantforgeError
from quantforge.frontends.onnx import OnnxExecutor, import_model, to_proto

from .text_models import model, random

RELU = "g (float[2] x) => (y) { a = Relu(x) y = Neg(a) }"


def test_a_value_nothing_makes() -> None:
    proto = model(RELU)
    proto.graph.node[0].input[0] = "ghost"
    with pytest.raises(
        InputError, match=r"Q0109 .*node 'Relu': found input 'ghost' that nothing before it makes"
    ):
        import_model(proto)


def test_a_value_made_twice() -> None:
    proto = model(RELU)
    proto.graph.node[1].output[0] = "a"
    with pytest.raises(InputError, match=r"Q0109 .*output 'a' that exists already"):
        import_model(proto)


def test_a_missing_graph_output_and_none_at_all() -> None:
    proto = model(RELU)
    proto.graph.output[0].name = "nowhere"
    with pytest.raises(InputError, match=r"Q0109 .*graph outputs: found 'nowhere' that nothing makes"):
        import_model(proto)
    del proto.graph.output[:]
    with pytest.raises(InputError, match=r"Q0109 .*found no outputs"):
        import_model(proto)


@pytest.mark.parametrize(
    ("node", "found"),
    [
        ("y = Relu(x, x)", "2 inputs of 1 to 1 for Relu"),
        ("y = Add(x)", "1 inputs of 2 to 2 for Add"),
        ("y = Concat(x)", "Concat without its attribute 'axis'"),
        ("y = LeakyRelu<alpha = 3>(x)", "attribute 'alpha' of LeakyRelu with a value of another type"),
        ("y, z = Relu(x)", "2 outputs of 1 to 1 for Relu"),
    ],
)
def test_nodes_that_contradict_their_operator(node: str, found: str) -> None:
    with pytest.raises(InputError, match=f"Q0109 .*found {found}"):
        import_model(model(f"g (float[2] x) => (y) {{ {node} }}"))


def test_a_bad_node_inside_a_subgraph() -> None:
    text = """g (bool c, float[2] x) => (y) {
      y = If(c) <then_branch = a () => (float[2] p) { p = Neg(x, x) },
                 else_branch = b () => (float[2] q) { q = Neg(x) }>
    }"""
    with pytest.raises(InputError, match=r"Q0109 .*a subgraph with 2 inputs of 1 to 1 for Neg"):
        import_model(model(text))


FUZZED = """g (float[N,3,8,8] x) => (float[N,4] y) <int64[2] s = {0, -1}, int64 i = {0}, float[4] b = {1, 2, 3, 4}> {
  c = Conv<kernel_shape = [3,3], pads = [1,1,1,1]>(x, w, b)
  r = Relu(c)
  p = MaxPool<kernel_shape = [8,8]>(r)
  sh = Shape(p)
  n = Gather(sh, i)
  n1 = Unsqueeze<axes = [0]>(n)
  m = Constant<value_ints = [-1]>()
  t = Concat<axis = 0>(n1, m)
  f = Reshape(p, t)
  y = Softmax<axis = 1>(f)
}"""


def test_mutated_bytes_give_a_graph_or_a_coded_error() -> None:
    data = model(FUZZED, opset=11, w=random(4, 3, 3, 3)).SerializeToString()
    random_numbers = np.random.default_rng(20)
    imported = 0
    for attempt in range(1500):
        mutated = bytearray(data)
        if attempt % 3 == 0:
            mutated = mutated[: random_numbers.integers(1, len(data))]
        for _ in range(random_numbers.integers(1, 5)):
            mutated[random_numbers.integers(0, len(mutated))] = random_numbers.integers(0, 256)
        try:
            graph = import_model(bytes(mutated))
            imported += 1
            if imported % 10 == 0:
                to_proto(graph)
                OnnxExecutor(threads=1).session(graph, graph.outputs)
        except QuantforgeError as error:
            assert error.diagnostic.fix
    assert imported > 100


def test_an_input_that_is_listed_twice() -> None:
    proto = model(RELU)
    proto.graph.input.add().CopyFrom(proto.graph.input[0])
    with pytest.raises(InputError, match=r"Q0109 .*the graph inputs: found 'x' twice"):
        import_model(proto)


def test_a_required_input_that_is_left_out() -> None:
    proto = model("g (float[1,2,4,4] x, float[2,2,1,1] w, float[2] b) => (y) { y = Conv(x, w, b) }")
    proto.graph.node[0].input[0] = ""
    with pytest.raises(InputError, match=r"Q0109 .*found Conv without its input 'X'"):
        import_model(proto)
